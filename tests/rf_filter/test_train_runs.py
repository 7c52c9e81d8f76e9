"""A forest from the candidates of runs, from tables and sound to forest, card and picture."""

from pathlib import Path

import numpy as np
import pytest

from hum_rf_filter import extraction
from hum_rf_filter.context import SCORE_COLUMNS
from hum_rf_filter.features import FeatureSettings
from hum_rf_filter.forest import load_forest
from hum_rf_filter.train import Training, picture_path, train_on_runs
from hum_rf_filter.training import TrainingSettings
from hum_shared.errors import InputError
from hum_shared.files import sha256_file
from hum_shared.index import CorpusEntry, CorpusIndex, CorpusMeta, RecordingInfo, write_index
from hum_shared.selections import Selection
from support.rf_run import SETTINGS, write_recording, write_table
from support.score_tracks import write_track

SMALL = TrainingSettings(trees=5)
CALLS, ALARMS = (1.0, 4.0), (6.0, 8.0)


def hum(clip: str, start_s: float) -> CorpusEntry:
    times = {"clip_start_s": start_s, "clip_end_s": start_s + 1, "raw_start_s": start_s, "raw_end_s": start_s + 1}
    return CorpusEntry(uid=1, clip_path=f"labelled_recordings/{clip}", dur_s=1, **times)


def workspace(folder: Path, n_tapes: int = 3, alarms: tuple[float, ...] = ALARMS, calls=CALLS) -> list[str]:
    """Write tapes with calls, found by two runs along with false alarms; one call per tape is found by nobody."""
    entries, infos, tapes = [], [], []
    for number in range(n_tapes):
        tape = f"{number} ü$x_20201207_cut.wav"
        write_recording(folder / "audio" / tape, [(a, a + 1) for a in calls], seed=number)
        infos.append(RecordingInfo(name=tape, tape=tape, offset_s=0, dur_s=10))
        entries += [hum(tape, start_s) for start_s in (*calls, 2.5)]
        rows = [Selection(a, a + 1, 0, 4000, cnn_logit_mean=float(a)) for a in (*calls, *alarms)]
        for variant in ("len400_hop050_th50", "len400_hop050_th90"):
            write_table(folder / "runs" / "m" / variant, tape, rows)
        write_track(folder / "scores" / "m" / "len400_hop050", tape, np.linspace(0.1, 0.9, 190))
        tapes.append(tape)
    write_index(folder / "truth.json", CorpusIndex(meta=CorpusMeta(recordings=infos), entries=entries))
    return tapes


def train(
    folder: Path, scores: bool = False, settings: TrainingSettings = SMALL, features: FeatureSettings = SETTINGS
) -> Training:
    return train_on_runs(
        folder / "runs",
        folder / "truth.json",
        folder / "audio",
        folder / "forest.skops",
        settings,
        features,
        folder / "scores" if scores else None,
        workers=1,
    )


def test_a_forest_is_trained_on_the_candidates_of_runs(tmp_path: Path) -> None:
    workspace(tmp_path)
    done = train(tmp_path)
    assert done.card.grouped_by == "tape"
    assert done.card.n_rows == {"train": 12, "test": 0}
    assert done.card.metrics["out_of_fold"]["n_target"] == 6
    without_scores = [name for name in SETTINGS.columns if name not in SCORE_COLUMNS]
    assert done.card.feature_names == ["cnn_logit_mean", *without_scores]
    assert done.card.stft == {"n_fft": 512, "hop": 256}
    assert set(done.card.thresholds) == {"recall_first", "f_beta", "event_f1"}
    assert train(tmp_path).report is None


def test_with_score_tracks_all_features_are_learned_from(tmp_path: Path) -> None:
    workspace(tmp_path)
    assert train(tmp_path, scores=True).card.feature_names == ["cnn_logit_mean", *SETTINGS.columns]
    assert train(tmp_path, scores=True).report is None
    assert train(tmp_path).report is not None


def test_the_card_tells_both_kinds_of_forest_and_takes_the_better(tmp_path: Path) -> None:
    workspace(tmp_path)
    card = train(tmp_path).card
    assert set(card.comparison) == {"RandomForest", "ExtraTrees"}
    assert card.forest == min(card.comparison, key=lambda kind: card.comparison[kind]["log_loss"])
    loaded = load_forest(tmp_path / "forest.skops", None)
    assert type(loaded.classifier).__name__ == f"{card.forest}Classifier"


def test_the_card_certifies_tapes_and_recordings_also_those_without_candidates(tmp_path: Path) -> None:
    tapes = workspace(tmp_path)
    write_recording(tmp_path / "audio" / "quiet.wav")
    write_table(tmp_path / "runs" / "m" / "len400_hop050_th50", "quiet.wav", [])
    truth = CorpusIndex(entries=[hum(name, start_s) for name in tapes for start_s in CALLS] + [hum("quiet.wav", 2)])
    write_index(tmp_path / "truth.json", truth)
    card = train(tmp_path).card
    assert card.training_tapes == sorted([*tapes, "quiet.wav"])
    assert {(one.name, one.tape, one.sha256) for one in card.training_recordings} == {
        (name, name, sha256_file(tmp_path / "audio" / name)) for name in [*tapes, "quiet.wav"]
    }


def test_importance_is_told_by_group_and_drawn(tmp_path: Path) -> None:
    workspace(tmp_path)
    card = train(tmp_path, scores=True).card
    assert {group: one.n_features for group, one in card.importance.items()} == {
        "spectral": 11,
        "cepstral": 78,
        "CNN": 4,
        "context": 5,
    }
    assert picture_path(tmp_path / "forest.skops").read_bytes().startswith(b"\x89PNG")


def test_training_again_gives_the_same_bytes(tmp_path: Path) -> None:
    workspace(tmp_path)
    files = ("forest.skops", "forest.importance.png")
    first = train(tmp_path).card
    before = [(tmp_path / name).read_bytes() for name in files]
    (tmp_path / "forest.skops").unlink()
    again = train(tmp_path).card
    assert [(tmp_path / name).read_bytes() for name in files] == before
    assert again.model_dump(exclude={"provenance"}) == first.model_dump(exclude={"provenance"})


def test_few_false_alarms_recommend_to_pass_everything_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace(tmp_path)
    card = train(tmp_path).card
    assert card.recommended is not None
    assert card.recommended.threshold == 0
    assert "everything passes: only 6 candidates are false alarms" in capsys.readouterr().err
    assert card.warnings == [card.recommended.reason]


@pytest.mark.parametrize("n_alarms", [0, 1])
def test_without_false_alarms_the_forest_passes_everything_whatever_the_threshold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], n_alarms: int
) -> None:
    workspace(tmp_path, alarms=())
    if n_alarms:
        write_table(tmp_path / "runs" / "m" / "x", "0 ü$x_20201207_cut.wav", [Selection(8, 9)])
    card = train(tmp_path).card
    assert "everything passes" in capsys.readouterr().err
    assert card.recommended is not None
    assert card.recommended.threshold == 0
    assert not picture_path(tmp_path / "forest.skops").exists()
    assert train(tmp_path).report is None
    import pandas as pd

    nothing_else = pd.DataFrame({"duration_s": [0.1, 99.0]})
    assert load_forest(tmp_path / "forest.skops", None).probabilities(nothing_else).tolist() == [1, 1]


def test_without_a_found_call_there_is_nothing_to_learn_from(tmp_path: Path) -> None:
    workspace(tmp_path, calls=())
    with pytest.raises(InputError, match="0 of 6 candidates match a true call"):
        train(tmp_path)
    assert not (tmp_path / "forest.skops").exists()


def test_one_tape_is_judged_by_time_and_recommends_nothing(tmp_path: Path) -> None:
    workspace(tmp_path, n_tapes=1, calls=(1.0, 3.4, 4.5, 7.7))
    card = train(tmp_path).card
    assert card.grouped_by == "time block"
    assert card.recommended is not None
    assert card.recommended.threshold == 0


def test_each_recording_is_extracted_once_for_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace(tmp_path)
    asked = []
    real = extraction.recording_features

    def counted(path: Path, selections: list[Selection], *others: object) -> np.ndarray:
        asked.append((path.name, len(selections)))
        return real(path, selections, *others)

    monkeypatch.setattr(extraction, "recording_features", counted)
    train(tmp_path, scores=True)
    assert asked == [(f"{number} ü$x_20201207_cut.wav", 4) for number in range(3)]


def test_a_recording_that_is_gone_ends_the_training(tmp_path: Path) -> None:
    workspace(tmp_path)
    next((tmp_path / "audio").iterdir()).unlink()
    with pytest.raises(InputError, match="no recording"):
        train(tmp_path)


def test_runs_that_ground_truth_does_not_know_at_all_are_an_error(tmp_path: Path) -> None:
    workspace(tmp_path)
    write_index(tmp_path / "truth.json", CorpusIndex(entries=[]))
    with pytest.raises(InputError, match="no candidate lies in a recording"):
        train(tmp_path)
