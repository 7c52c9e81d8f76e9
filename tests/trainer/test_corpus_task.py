"""What a recipe that learns from a corpus works on, and what it says of it."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from hum_shared.config.cfg import read_cfg
from hum_shared.config.training import TrainingCfg
from hum_shared.index import write_index
from hum_trainer import corpus_task, frame_task
from hum_trainer.corpus_task import CorpusTask, announce, read_corpus_task
from hum_trainer.indexing import index_corpus
from hum_trainer.labelled_recordings import LabelledRecording, Stretch
from support.corpora import make_corpus

TAPES = tuple(f"{animal}_20201207_cut.wav" for animal in range(380, 386))


def task_of(folder: Path, *, clip_s: float = 8.0, silent: bool = False, recipe: str = "frames") -> CorpusTask:
    folder.mkdir(exist_ok=True)
    corpus = folder / "it's a corpus"
    hums = make_corpus(corpus, raw=False, tapes=TAPES, clips_per_tape=1, clip_s=clip_s)
    for hum in hums:
        if silent and hum.tape in TAPES[2:]:
            next((corpus / "segmented").rglob(hum.file_name)).unlink()
    write_index(corpus / "corpus_index.json", index_corpus(corpus).index)
    values = {
        "recipe": recipe, "corpus_index": corpus / "corpus_index.json", "model_dir": folder / "models",
        "checkpoint_dir": folder / "checkpoints", "sr": 8000, "n_fft": 256, "hop_length": 80, "fmin": 60, "fmax": 3500,
        "sequence_len": 200, "normalisation": "background", "n_freq_bins": 32, "freq_compression": "mel", "n_folds": 2,
    }  # fmt: skip
    path = folder / "t.cfg"
    path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    return read_corpus_task(read_cfg(path, TrainingCfg), path)


@pytest.mark.parametrize("recipe", ["frames", "windows"])
@pytest.mark.parametrize(("clip_s", "warned"), [(8.0, False), (3.2, True)])
def test_calls_that_fill_the_background_are_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], clip_s: float, warned: bool, recipe: str
) -> None:
    task = task_of(tmp_path, clip_s=clip_s, recipe=recipe)
    announce(task)
    said = capsys.readouterr().err
    assert ("warning: calls fill more than 40% of 6 of 6 recordings" in said) == warned
    assert (f"the first is {task.recordings[0].name}: " in said) == warned


def test_one_recording_under_the_names_of_two_tapes_is_warned_about(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    task = task_of(tmp_path)
    announce(task)
    assert "same audio" not in capsys.readouterr().err
    one, *_, other = task.recordings
    announce(replace(task, recordings=[*task.recordings[:-1], replace(other, sha256=one.sha256)]))
    assert f"{one.name} and {other.name} are the same audio under the names of two tapes" in capsys.readouterr().err


def test_tapes_without_calls_train_every_network_but_those_that_they_judge(tmp_path: Path) -> None:
    task = task_of(tmp_path, silent=True)
    held = [{part.recording.tape for part in fold.val} for fold in task.folds]
    assert list(map(len, held)) == [3, 3]
    assert set.union(*held) == set(TAPES)


def test_checkpoints_of_other_folds_are_not_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loud, quiet = task_of(tmp_path / "a"), task_of(tmp_path / "b", silent=True)
    monkeypatch.setattr(corpus_task, "calls_per_tape", lambda recordings: {"a tape": 1})  # what used to be counted
    before = [task_of(tmp_path / "c"), task_of(tmp_path / "d", silent=True)]
    assert (loud.data_sha256, loud.settings_sha256) == (before[0].data_sha256, before[0].settings_sha256)
    assert quiet.data_sha256 == before[1].data_sha256
    assert quiet.settings_sha256 != before[1].settings_sha256


def test_scores_of_a_block_lie_where_its_frames_do(monkeypatch: pytest.MonkeyPatch) -> None:
    setup = SimpleNamespace(hop_s=0.02)
    monkeypatch.setattr(frame_task, "frame_probs", lambda *_: np.zeros((5, 2), dtype=np.float32))
    recording = LabelledRecording("a.wav", Path("a.wav"), "a.wav", 9.0, 8000, "0" * 64, np.zeros((0, 2)), ())
    for start_s, first_s in ((0.0, 0.0), (1.0, 0.0), (1.005, -0.005), (1.015, 0.005)):
        windows = frame_task.scores_of(setup, None)(Stretch(recording, start_s, 2.0))
        assert windows.start_s[0] == pytest.approx(first_s, abs=1e-12)
        assert np.allclose(np.diff(windows.start_s), 0.02)
