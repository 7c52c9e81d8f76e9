"""Candidates of many runs as training rows."""

from pathlib import Path

import numpy as np
import pytest

from hum_rf_filter import extraction
from hum_rf_filter.candidates import find_candidates, find_tables, labels_of
from hum_rf_filter.train import train_on_runs
from hum_rf_filter.training import TrainingSettings
from hum_shared.errors import InputError
from hum_shared.index import CorpusEntry, CorpusIndex, CorpusMeta, RecordingInfo, write_index
from hum_shared.recordings import RecordingFolder
from hum_shared.selections import Selection
from support.rf_run import SETTINGS, write_recording, write_table

SMALL = TrainingSettings(trees=10)
TAPE = "387_20201207_cut.wav"
CLIP = f"{TAPE}_100_110.wav"


def hum(clip: str, start_s: float, end_s: float, offset_s: float = 0, tape: str | None = None) -> CorpusEntry:
    return CorpusEntry(
        uid=1,
        clip_path=f"labelled_recordings/{clip}",
        raw_path=f"raw_recordings/{tape}" if tape else None,
        dur_s=end_s - start_s,
        clip_start_s=start_s,
        clip_end_s=end_s,
        raw_start_s=offset_s + start_s,
        raw_end_s=offset_s + end_s,
    )


def info(name: str, tape: str, offset_s: float, dur_s: float = 10) -> RecordingInfo:
    return RecordingInfo(name=name, tape=tape, offset_s=offset_s, dur_s=dur_s)


def test_a_candidate_is_a_target_when_it_matches_a_hum_on_tape_time() -> None:
    truth = CorpusIndex(entries=[hum(CLIP, 2, 3, 100, TAPE)])
    rows = [Selection(2, 3), Selection(2.3, 3.3), Selection(2.6, 3.6), Selection(7, 8)]
    # IoU 1, 0.54, 0.25, 0
    assert labels_of(CLIP, rows, truth).tolist() == ["target", "target", "noise", "noise"]
    assert labels_of(TAPE, [Selection(102, 103), Selection(2, 3)], truth).tolist() == ["target", "noise"]
    assert labels_of("other.wav", [Selection(2, 3)], truth).tolist() == ["noise"]


def test_the_least_match_of_a_target_is_two_fifths() -> None:
    truth = CorpusIndex(entries=[hum("a.wav", 0, 5)])
    assert labels_of("a.wav", [Selection(0, 2), Selection(0, 1.99)], truth).tolist() == ["target", "noise"]


def test_the_same_selection_of_many_runs_counts_once(tmp_path: Path) -> None:
    write_recording(tmp_path / "audio" / CLIP)
    same, other_logit = Selection(2, 3, 0, 4000, cnn_logit_mean=1), Selection(2, 3, 0, 4000, cnn_logit_mean=2)
    for model, rows in (("m1", [same]), ("m2", [same, other_logit]), ("m3", [Selection(4, 5)])):
        write_table(tmp_path / "runs" / model / "v", CLIP, rows)
    truth = CorpusIndex(entries=[hum(CLIP, 2, 3, 100, TAPE)])
    found = find_candidates(find_tables(tmp_path / "runs"), RecordingFolder(tmp_path / "audio"), truth)
    ((path, rows),) = found.by_recording.items()
    assert path.name == CLIP
    assert [(one.begin_s, one.cnn_logit_mean) for one in rows] == [(2, 1), (2, 2), (4, None)]


def test_candidates_where_nobody_listened_are_left_out_and_said(tmp_path: Path) -> None:
    for name in (TAPE, "unknown.wav"):
        write_recording(tmp_path / "audio" / name, seconds=0.5)
        write_table(tmp_path / "runs" / "m" / "v", name, [Selection(102, 103), Selection(150, 151)])
    truth = CorpusIndex(meta=CorpusMeta(recordings=[info(CLIP, TAPE, 100)]), entries=[])
    found = find_candidates(find_tables(tmp_path / "runs"), RecordingFolder(tmp_path / "audio"), truth)
    assert [[one.begin_s for one in rows] for rows in found.by_recording.values()] == [[102]]
    assert "unknown.wav" in found.warnings[0]
    assert "1 candidates outside" in found.warnings[1]


def test_only_evaluations_count_as_runs(tmp_path: Path) -> None:
    write_table(tmp_path / "runs" / "m" / "v", "a.wav", [])
    (tmp_path / "runs" / "m" / "v" / "evaluation").rename(tmp_path / "runs" / "m" / "v" / "postrf")
    with pytest.raises(InputError, match="Run hum-evaluator first"):
        find_tables(tmp_path / "runs")


def workspace(folder: Path, n_tapes: int = 3) -> None:
    """Write tapes with two hums each, found by two runs along with two false alarms per tape."""
    entries, infos = [], []
    for number in range(n_tapes):
        tape = f"{number} ü_20201207_cut.wav"
        write_recording(folder / "audio" / tape, [(1, 2), (4, 5)], seed=number)
        infos.append(info(tape, tape, 0))
        entries += [hum(tape, 1, 2), hum(tape, 4, 5)]
        for variant, shift in (("v1", 0.0), ("v2", 0.0)):
            rows = [Selection(a + shift, a + 1, 0, 4000, cnn_logit_mean=float(a)) for a in (1, 4, 6, 8)]
            write_table(folder / "runs" / "m" / variant, tape, rows)
    write_index(folder / "truth.json", CorpusIndex(meta=CorpusMeta(recordings=infos), entries=entries))


def train(folder: Path, workers: int = 1):
    out = folder / "forest.skops"
    return train_on_runs(
        folder / "runs", folder / "truth.json", folder / "audio", out, SMALL, SETTINGS, workers=workers
    )


def test_a_forest_is_trained_on_the_candidates_of_runs(tmp_path: Path) -> None:
    workspace(tmp_path)
    done = train(tmp_path)
    assert done.card.grouped_by == "tape"
    assert done.card.n_rows == {"train": 12, "test": 0}
    assert done.card.metrics["out_of_fold"]["n_target"] == 6
    assert done.card.feature_names == ["cnn_logit_mean", *SETTINGS.columns]
    assert done.card.stft == {"n_fft": 512, "hop": 256}
    assert train(tmp_path).report is None


def test_each_recording_is_extracted_once_for_all_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workspace(tmp_path)
    asked = []
    real = extraction.recording_features

    def counted(path: Path, selections: list[Selection], settings: object) -> np.ndarray:
        asked.append((path.name, len(selections)))
        return real(path, selections, settings)

    monkeypatch.setattr(extraction, "recording_features", counted)
    train(tmp_path)
    assert asked == [(f"{number} ü_20201207_cut.wav", 4) for number in range(3)]


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
