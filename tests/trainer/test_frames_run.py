from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile

from hum_shared.errors import InputError, Stopped
from hum_shared.files import write_json
from hum_shared.model.model_file import load_model
from hum_shared.model.model_parts import DenseModel
from hum_shared.scores import read_score_track
from hum_shared.stopping import StopRequest
from hum_trainer.indexing import index_corpus
from hum_trainer.mine_run import run_mining
from hum_trainer.paddock import Paddock, synthesise, tape_names
from hum_trainer.run import run_training


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("corpora") / "pad $döck"
    paddock = Paddock(
        minutes_per_tape=0.4, clip_minutes=0.2, sample_rate=8000, hums_per_minute=15, snr_db=(15, 25),
        distractors_per_minute=4,
    )  # fmt: skip
    synthesise(out, tapes=tape_names(2), paddock=paddock)
    write_json(out / "corpus_index.json", index_corpus(out).index.model_dump(mode="json"))
    return out


def write_cfg(folder: Path, corpus: Path, **changes: object) -> Path:
    values: dict[str, object] = {
        "recipe": "frames", "corpus_index": corpus / "corpus_index.json", "model_dir": folder / "run" / "models",
        "checkpoint_dir": folder / "run" / "checkpoints", "sr": 8000, "n_fft": 512, "hop_length": 160,
        "n_freq_bins": 32, "fmin": 60, "fmax": 3500, "freq_compression": "mel", "augmentation": "true",
        "lr": 0.0005, "beta1": 0.9, "batch_size": 8, "max_train_epochs": 4, "epochs_per_eval": 2,
        "examples_per_epoch": 96, "n_folds": 2, "hard_negative_rounds": 1,
    }  # fmt: skip
    path = folder / "t.cfg"
    folder.mkdir(exist_ok=True)
    path.write_text("".join(f"{key}={value}\n" for key, value in (values | changes).items()))
    return path


@pytest.fixture(scope="module")
def trained(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    run_training(write_cfg(folder, corpus))
    return folder


def test_a_run_finds_calls_on_tapes_that_its_networks_have_not_seen(trained: Path) -> None:
    card = json.loads((trained / "run" / "models" / "model.json").read_text())
    assert card["metrics"]["val"]["f1"] > 0.6
    assert card["loads_in_original_programs"] is False
    assert len(card["training_data"]["networks"]) == 2
    tapes = [tape for network in card["training_data"]["networks"] for tape in network["val_tapes"]]
    assert sorted(tapes) == card["training_data"]["tapes"]["train"]


def test_the_model_file_holds_every_network(trained: Path) -> None:
    model = load_model(trained / "run" / "models" / "ANIMAL-SPOT.pk", jit=False)
    assert isinstance(model, DenseModel)
    assert len(model.network.members) == 2
    assert model.data_opts.background_s == 30


def test_every_recording_has_a_track_by_networks_that_have_not_seen_its_tape(trained: Path, corpus: Path) -> None:
    tracks = sorted((trained / "run" / "out_of_tape").glob("*.parquet"))
    recordings = sorted(path.name for path in (corpus / "labelled_recordings").iterdir())
    assert [read_score_track(path).meta.recording for path in tracks] == recordings
    track = read_score_track(tracks[0])
    assert track.meta.kind == "frame"
    assert len(track.probs) == -(-track.meta.model_frames // 160)
    assert np.abs(track.probs.sum(axis=1) - 1).max() < 1e-5
    assert track.probs[:, 1].max() > 0.5


def test_a_finished_run_is_a_no_op(trained: Path, corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = trained / "run" / "models" / "ANIMAL-SPOT.pk"
    before = model.stat().st_mtime_ns
    run_training(trained / "t.cfg")
    assert "nothing to do" in capsys.readouterr().out
    assert model.stat().st_mtime_ns == before


def test_a_finished_run_without_its_checkpoints_is_a_no_op(
    trained: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (trained / "run" / "checkpoints").rename(tmp_path / "kept")
    try:
        run_training(trained / "t.cfg")
    finally:
        (tmp_path / "kept").rename(trained / "run" / "checkpoints")
    assert "nothing to do" in capsys.readouterr().out


def test_a_run_that_ended_before_its_tracks_were_written_writes_them_and_removes_others(
    trained: Path, tmp_path: Path, corpus: Path
) -> None:
    shutil.copytree(trained / "run", tmp_path / "run")
    cfg = write_cfg(tmp_path, corpus)
    first, second, *_ = tracks = sorted((tmp_path / "run" / "out_of_tape").glob("*.parquet"))
    probs = read_score_track(first).probs
    stale = first.with_name("gone_predict_output.parquet")
    second.rename(stale)
    first.write_bytes(b"half")
    before = {path: path.read_bytes() for path in (tmp_path / "run" / "models").iterdir()}
    run_training(cfg)
    assert {path: path.read_bytes() for path in before} == before
    assert sorted(stale.parent.glob("*.parquet")) == tracks
    assert np.array_equal(read_score_track(first).probs, probs)


def test_every_tape_is_mined_since_each_has_trained_some_network(
    trained: Path, tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained / "run", tmp_path / "run")
    run_mining(write_cfg(tmp_path, corpus))
    assert "48 s of audio" in capsys.readouterr().err  # both tapes


def test_tables_that_say_nothing_new_are_not_said_to_teach_anything(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "corrected").mkdir()
    clip = min((corpus / "labelled_recordings").iterdir())
    (tmp_path / "corrected" / f"{clip.name}.txt").write_text("Selection\tBegin Time (s)\tEnd Time (s)\n")
    run_mining(write_cfg(tmp_path, corpus), tmp_path / "corrected")
    said = capsys.readouterr().out
    assert "0 negatives and 0 new calls; there is nothing new to learn from" in said
    assert "learns from" not in said


@pytest.mark.parametrize("from_scratch", ["false", "true"])
def test_a_stopped_run_goes_on_to_the_same_weights(
    trained: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], from_scratch: str
) -> None:
    cfg = write_cfg(tmp_path / "again", corpus, start_from_scratch=from_scratch)
    log = tmp_path / "again" / "run" / "logs" / "train.log"

    def stop_in_the_second_network() -> None:
        while "network 2 of 2, epoch 2" not in (log.read_text() if log.exists() else ""):
            if done.wait(0.02):
                return
        os.kill(os.getpid(), signal.SIGUSR1)

    done = threading.Event()
    watcher = threading.Thread(target=stop_in_the_second_network)
    watcher.start()
    try:
        with pytest.raises(Stopped):
            run_training(cfg)
    finally:
        done.set()
        watcher.join()
    assert not (tmp_path / "again" / "run" / "models" / "ANIMAL-SPOT.pk").exists()
    capsys.readouterr()
    run_training(cfg)
    assert "network 2: going on" in capsys.readouterr().out
    name = Path("run") / "models" / "ANIMAL-SPOT.pk"
    assert (tmp_path / "again" / name).read_bytes() == (trained / name).read_bytes()
    run_training(cfg)
    assert ("network 1 of 2, epoch 2" in capsys.readouterr().out) == (from_scratch == "true")


def test_a_run_from_scratch_that_was_stopped_takes_no_network_of_the_run_before(
    trained: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained / "run", tmp_path / "again" / "run")
    cfg = write_cfg(tmp_path / "again", corpus, start_from_scratch="true")
    stop = StopRequest()
    stop.signal_name = "SIGUSR1"
    with pytest.raises(Stopped):
        run_training(cfg, stop=stop)
    capsys.readouterr()
    run_training(cfg)
    said = capsys.readouterr().out
    assert "network 1: going on after 0 epochs and 0 batches" in said
    assert "network 2 of 2, epoch 2" in said


def test_a_corpus_of_one_tape_is_split_in_time_and_says_so(corpus: Path, tmp_path: Path) -> None:
    one = tmp_path / "one"
    synthesise(one, tapes=tape_names(1), paddock=Paddock(minutes_per_tape=0.4, sample_rate=8000, hums_per_minute=15))
    write_json(one / "corpus_index.json", index_corpus(one).index.model_dump(mode="json"))
    run_training(write_cfg(tmp_path / "t", one, max_train_epochs=1, examples_per_epoch=8))
    card = json.loads((tmp_path / "t" / "run" / "models" / "model.json").read_text())
    assert "time blocks of one tape" in card["training_data"]["split"]
    assert len(list((tmp_path / "t" / "run" / "out_of_tape").glob("*.parquet"))) == 1


def test_recordings_that_would_share_a_track_are_refused_before_training(tmp_path: Path, corpus: Path) -> None:
    twins = tmp_path / "twins"
    shutil.copytree(corpus, twins)
    clip = min((twins / "labelled_recordings").iterdir())
    samples, rate = soundfile.read(clip)
    soundfile.write(clip.with_suffix(".flac"), samples, rate)
    write_json(twins / "corpus_index.json", index_corpus(twins).index.model_dump(mode="json"))
    with pytest.raises(InputError, match="would share the score track") as caught:
        run_training(write_cfg(tmp_path / "t", twins))
    assert f"{clip.stem}.flac and " in str(caught.value)
    assert not (tmp_path / "t" / "run").exists()


def test_mixup_is_part_of_augmentation(tmp_path: Path, corpus: Path) -> None:
    brief = {"max_train_epochs": 1, "examples_per_epoch": 16, "hard_negative_rounds": 0}
    losses = {}
    for augmentation in ("true", "false"):
        for alpha in (0, 1):
            folder = tmp_path / f"{augmentation} {alpha}"
            run_training(write_cfg(folder, corpus, **brief, augmentation=augmentation, mixup=alpha))
            losses[augmentation, alpha] = (folder / "run" / "summaries" / "fold0" / "curves.csv").read_text()
    assert losses["true", 0] != losses["true", 1]
    assert losses["false", 0] == losses["false", 1]
