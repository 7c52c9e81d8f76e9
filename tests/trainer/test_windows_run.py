"""Whole trainings of recipe `windows` on a tiny corpus."""

import json
import os
import signal

import numpy as np
import pytest
import torch

from hum_shared.audio import mono_blocks
from hum_shared.config.cfg import read_cfg
from hum_shared.config.training import TrainingCfg
from hum_shared.errors import CfgError, InputError, ModelError, Stopped
from hum_shared.grid import window_grid
from hum_shared.index import write_index
from hum_shared.model.model_file import load_model
from hum_shared.model.scoring import WindowScorer, score_recording
from hum_shared.scores import read_score_track
from hum_shared.selections import Selection, write_selections
from hum_trainer import mine_run
from hum_trainer.corpus_task import read_corpus_task
from hum_trainer.event_loop import EventTrainer
from hum_trainer.indexing import index_corpus
from hum_trainer.mine_run import run_mining
from hum_trainer.mining import read_hard_negatives
from hum_trainer.run import run_training
from support.corpora import make_corpus
from support.earlier_checkpoints import make_earlier

CFG = {
    "recipe": "windows", "corpus_index": "corpus ü/corpus_index.json", "model_dir": "run/models",
    "checkpoint_dir": "run/checkpoints", "max_train_epochs": 4, "epochs_per_eval": 2, "batch_size": 16, "lr": 6e-5,
    "beta1": 0.9, "sequence_len": 100, "score_hop": 50, "n_freq_bins": 16, "n_fft": 256, "hop_length": 128, "sr": 4000,
    "fmin": 100, "fmax": 1900, "max_pool": 1, "conv_kernel_size": 5, "min_max_norm": "true", "device": "cpu", "seed": 3,
    "examples_per_epoch": 64, "n_folds": 3, "ema_decay": 0.9,
}  # fmt: skip
SMALL = {"max_train_epochs": 1, "examples_per_epoch": 16}


def _workspace(folder, **changes):
    (folder / "workspace.toml").touch()
    corpus = folder / "corpus ü"
    if not corpus.exists():
        make_corpus(corpus, raw=False, clips_per_tape=1, clip_s=6.0)
        write_index(corpus / "corpus_index.json", index_corpus(corpus).index)
    path = folder / "variant $x" / "alpaca_server.cfg"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{key}={value}\n" for key, value in (CFG | changes).items() if value is not None))
    return path


def _card(folder):
    return json.loads((folder / "run" / "models" / "model.json").read_text())


def test_training_finds_the_calls_of_another_tape_and_leaves_everything_behind(tmp_path):
    run_training(_workspace(tmp_path, max_train_epochs=16, epochs_per_eval=4, examples_per_epoch=128))
    card = _card(tmp_path)
    assert card["metrics"]["val"]["f1"] >= 0.9
    assert card["loads_in_original_programs"] is True
    assert card["classes"] == {"noise": 0, "target": 1}
    data = card["training_data"]
    assert not set(data["tapes"]["train"]) & set(data["tapes"]["val"])
    assert set(data["recordings"]["train"]) | set(data["recordings"]["val"]) == {
        path.name for path in (tmp_path / "corpus ü" / "labelled_recordings").iterdir()
    }
    curves = (tmp_path / "run" / "summaries" / "curves.csv").read_text()
    assert curves.startswith("epoch,lr,train_loss,val_loss,val_f1,val_precision,val_recall")
    assert load_model(tmp_path / "run" / "models" / "ANIMAL-SPOT.pk", jit=False).data_opts.min_max_norm is True


@pytest.mark.parametrize("written", ["now", "by an earlier version"])
def test_a_signal_in_mid_epoch_saves_and_the_next_run_ends_the_same(tmp_path, monkeypatch, capsys, written):
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    changes = {"augmentation": "true", "max_train_epochs": 3, "epochs_per_eval": 3}
    run_training(_workspace(tmp_path / "whole", **changes))
    cfg = _workspace(tmp_path / "stopped", **changes)
    step, seen = EventTrainer._step, []

    def step_and_signal(self, batch):
        seen.append(self.batch)
        if len(seen) == 10:  # the second batch of the third epoch, after false alarms were mined
            os.kill(os.getpid(), signal.SIGUSR1)
        return step(self, batch)

    monkeypatch.setattr(EventTrainer, "_step", step_and_signal)
    with pytest.raises(Stopped, match="epoch 3, batch 2"):
        run_training(cfg)
    if written == "by an earlier version":
        changed = make_earlier(tmp_path / "stopped" / "run" / "checkpoints" / "checkpoint.pt")
        assert changed, "no map with one row"
    run_training(cfg)
    assert len(seen) == 12
    assert "false alarms are negatives now" in capsys.readouterr().out
    for name in ("summaries/curves.csv", "models/ANIMAL-SPOT.pk"):
        whole, stopped = (tmp_path / run / "run" / name for run in ("whole", "stopped"))
        assert whole.read_bytes() == stopped.read_bytes()


def _one_tape(folder, **changes):
    corpus = folder / "corpus ü"
    make_corpus(corpus, raw=False, tapes=("387_20201207_cut.wav",), clips_per_tape=1, clip_s=12.0, hums_per_clip=8)
    write_index(corpus / "corpus_index.json", index_corpus(corpus).index)
    return _workspace(folder, **changes)


def test_one_tape_is_split_into_blocks_and_the_card_says_so(tmp_path):
    cfg_path = _one_tape(tmp_path)
    task = read_corpus_task(read_cfg(cfg_path, TrainingCfg), cfg_path)
    assert task.training_data([])["split"].startswith("time blocks of one tape")


def test_the_tapes_it_is_validated_on_are_scored_as_the_model_scores_them(tmp_path, capsys):
    cfg = _workspace(tmp_path, **SMALL)
    run_training(cfg)
    (recording,) = _card(tmp_path)["training_data"]["recordings"]["val"]
    (path,) = (tmp_path / "run" / "out_of_tape").iterdir()
    track = read_score_track(path)
    assert (track.meta.recording, track.meta.kind, track.meta.scored_s) == (recording, "window", None)
    model = load_model(tmp_path / "run" / "models" / "ANIMAL-SPOT.pk", jit=False)
    (audio,) = mono_blocks(tmp_path / "corpus ü" / "labelled_recordings" / recording, 60.0, 4000)
    grid = window_grid(len(audio), 4000, 0.1, 0.05, score_tail=True)
    scorer = WindowScorer(model, min_max_norm=True, device=torch.device("cpu"), precision="float32", threads=1)
    scored = score_recording([audio], grid, scorer)
    assert np.array_equal(grid.times_s(), (track.start_s, track.end_s))
    assert np.abs(np.concatenate([rows.probs for rows in scored]) - track.probs).max() < 1e-5

    before = {one: one.read_bytes() for one in (tmp_path / "run" / "models").iterdir()}
    for change in ({}, {"score_hop": 25}):
        path.rename(stale := path.with_name("gone_predict_output.parquet"))
        run_training(cfg := _workspace(tmp_path, **SMALL, **change))
        assert path.exists()
        assert not stale.exists()
        # Scores and filters that were made with the model stay valid: it is the same file.
        assert ({one: one.read_bytes() for one in before} == before) == (change == {})
    run_training(cfg)
    assert "nothing to do: the model is up to date" in capsys.readouterr().out


def test_of_one_tape_the_blocks_it_is_validated_on_are_scored_and_the_rest_says_noise(tmp_path):
    run_training(cfg_path := _one_tape(tmp_path, **SMALL))
    (path,) = (tmp_path / "run" / "out_of_tape").iterdir()
    track = read_score_track(path)
    val = read_corpus_task(read_cfg(cfg_path, TrainingCfg), cfg_path).fold.val
    assert track.meta.scored_s == [(part.start_s, part.end_s) for part in val]
    unseen = np.any([(track.centre_s >= part.start_s) & (track.centre_s < part.end_s) for part in val], axis=0)
    assert 0 < unseen.sum() < len(unseen)
    assert np.array_equal(track.probs[:, 0] == 1, ~unseen)


def test_a_window_longer_than_every_recording_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no stretch with a call is as long as a window of 7 s"):
        run_training(_workspace(tmp_path, sequence_len=7000))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"corpus_index": None}, "recipe windows learns from a corpus. Add corpus_index="),
        ({"architecture": "dense"}, "architecture dense does not go with recipe windows"),
        ({"fmax": 2500}, r"fmax 2500 Hz is above half the sample rate, 2000 Hz"),
        ({"freq_compression": "mfcc", "augmentation": "true"}, "mfcc"),
    ],
)
def test_broken_rules_are_named(tmp_path, changes, message):
    with pytest.raises(CfgError, match=message):
        run_training(_workspace(tmp_path, **changes))


def test_what_the_cfg_leaves_out_comes_from_the_calls_and_background_is_ours_alone(tmp_path, capsys):
    left = dict.fromkeys(["sr", "n_fft", "hop_length", "n_freq_bins", "fmin", "fmax", "sequence_len", "score_hop"])
    background = {"normalisation": "background", "background_s": 3, "hard_negative_rounds": 0}
    run_training(_workspace(tmp_path, **SMALL, **left, **background, augmentation="true"))
    card = _card(tmp_path)
    opts = card["data_opts"]
    assert opts["fmin"] < 440 < opts["fmax"] <= opts["sr"] / 2
    assert (opts["n_freq_bins"], opts["normalisation"], opts["background_s"]) == (64, "background", 3)
    assert card["loads_in_original_programs"] is False
    assert set(card["training_data"]["from_data"]) == set(left)
    assert f"sr={opts['sr']} (Hz): " in capsys.readouterr().out


def test_a_finished_run_is_a_no_op_until_something_is_fed_back(tmp_path, capsys):
    cfg = _workspace(tmp_path, **SMALL)
    with pytest.raises(ModelError, match="no model yet"):
        run_mining(cfg)
    run_training(cfg)
    first = _card(tmp_path)
    run_training(cfg)
    assert "nothing to do: the model is up to date" in capsys.readouterr().out
    run_mining(cfg)
    mined = read_hard_negatives(tmp_path / "run" / "models" / "hard_negatives.json")
    assert [one.model_sha256 for one in mined.rounds] == [first["model_sha256"]]
    assert {one.recording for one in mined.rounds[0].negatives} <= set(first["training_data"]["recordings"]["train"])
    run_mining(cfg)
    assert "nothing to do" in capsys.readouterr().out
    clip = next((tmp_path / "corpus ü" / "labelled_recordings").glob("387*"))
    rows = [Selection(0.0, 0.05, sound_type="noise"), Selection(5.95, 6.0, sound_type="target")]
    write_selections(tmp_path / "corrected" / f"{clip.stem}.Table.1.selections.txt", rows)
    run_mining(cfg, tmp_path / "corrected")
    run_training(cfg)
    assert "training starts anew" in capsys.readouterr().err
    told = _card(tmp_path)["training_data"]
    assert [bool(one["tables"]) for one in told["hard_negatives"]["fed_back"]] == [False, True]
    assert told["hard_negatives"]["fed_back"][1]["calls"] == 1
    assert told["sha256"] != first["training_data"]["sha256"]


def test_recipe_clips_has_nothing_to_mine_for(tmp_path):
    cfg = _workspace(tmp_path, recipe="clips", data_dir="data")
    with pytest.raises(InputError, match="Mine for windows or frames"):
        run_mining(cfg)


def test_a_round_that_was_written_while_another_was_looked_for_is_kept(tmp_path, monkeypatch):
    cfg = _workspace(tmp_path, **SMALL)
    clip = next((tmp_path / "corpus ü" / "labelled_recordings").glob("387*"))
    for name, end_s in (("first", 0.05), ("second", 0.06)):
        table = tmp_path / name / f"{clip.stem}.{name}.selections.txt"
        write_selections(table, [Selection(0.0, end_s, sound_type="noise")])

    def slow(*arguments, read=mine_run.from_selections):
        monkeypatch.setattr(mine_run, "from_selections", read)
        run_mining(cfg, tmp_path / "second")
        return read(*arguments)

    monkeypatch.setattr(mine_run, "from_selections", slow)
    run_mining(cfg, tmp_path / "first")
    rounds = read_hard_negatives(tmp_path / "run" / "models" / "hard_negatives.json").rounds
    assert [[*one.tables] for one in rounds] == [[f"{clip.stem}.{name}.selections.txt"] for name in ("second", "first")]
