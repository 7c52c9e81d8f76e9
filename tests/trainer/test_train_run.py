"""Whole training runs on a tiny dataset."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hum_shared.errors import AudioError, CfgError, InputError, MachineError, Stopped
from hum_shared.model.model_file import load_model
from hum_trainer.loop import Trainer
from hum_trainer.run import run_training
from hum_trainer.training_log import TrainingLog
from support.earlier_checkpoints import make_earlier
from support.early_signal import told_to_stop_while_importing

CFG = {
    "data_dir": "data", "model_dir": "run/models", "checkpoint_dir": "run/checkpoints", "summary_dir": "run/summaries",
    "max_train_epochs": 4, "epochs_per_eval": 2, "batch_size": 8, "lr": 1e-4, "sequence_len": 100, "n_freq_bins": 24,
    "n_fft": 256, "hop_length": 128, "sr": 8000, "fmin": 100, "fmax": 3500, "max_pool": 1, "conv_kernel_size": 5,
    "min_max_norm": "true", "device": "cpu", "seed": 3,
}  # fmt: skip


def _clip(rng, class_name, length):
    t = np.arange(length) / 8000
    tone = {"noise": 0, "target": 800, "bird": 2500}[class_name]
    return 0.1 * np.sin(2 * np.pi * tone * t) + rng.normal(0, 0.02, length)


def _dataset(folder, classes=("noise", "target"), per_part=(12, 6, 6)):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    number = 0
    for part, count in zip(("train", "val", "test"), per_part, strict=True):
        names = []
        for i in range(count):
            number += 1
            name = f"{classes[i % len(classes)]}-Q1_{number:06d}_2020_387-2020_0000000_0000100.wav"
            soundfile.write(folder / name, _clip(rng, classes[i % len(classes)], rng.integers(600, 1600)), 8000)
            names.append(name)
        (folder / f"{part}.csv").write_text("".join(f"{name}\n" for name in names))


def _workspace(folder, dataset=None, **changes):
    (folder / "workspace.toml").touch()
    if not (folder / "data").exists():
        _dataset(folder / "data", **(dataset or {}))
    path = folder / "variant ü" / "alpaca_server.cfg"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{key}={value}\n" for key, value in (CFG | changes).items()))
    return path


def _weights(folder):
    model = load_model(folder / "run" / "models" / "ANIMAL-SPOT.pk", jit=False)
    return torch.cat([value.flatten().double() for value in model.encoder.state_dict().values()])


def _curves(folder):
    return (folder / "run" / "summaries" / "curves.csv").read_text()


def test_training_learns_and_leaves_everything_behind(tmp_path):
    run_training(_workspace(tmp_path, {"per_part": (48, 8, 8)}, max_train_epochs=20, lr=5e-6))
    card = json.loads((tmp_path / "run" / "models" / "model.json").read_text())
    assert card["metrics"]["test"]["accuracy"] >= 0.8
    assert card["classes"] == {"noise": 0, "target": 1}
    assert card["data_opts"]["sequence_len_ms"] == 100
    assert card["training_data"]["tapes"]["train"] == ["387-2020"]
    left = {path.name.split(".")[0] for path in (tmp_path / "run" / "summaries").iterdir()}
    assert left == {"curves", "events"}
    assert _curves(tmp_path).startswith("epoch,lr,train_loss,val_loss,val_accuracy,val_f1")


def test_progress_ends_at_all_that_there_was_to_do(tmp_path):
    # 12 clips in batches of 8: an epoch leaves some out.
    run_training(_workspace(tmp_path, max_train_epochs=2), tmp_path / "progress.json")
    state = json.loads((tmp_path / "progress.json").read_text())
    assert state["state"] == "done"
    assert state["done"] == state["total"] > 0


def test_the_log_keeps_what_was_said_and_with_debug_every_batch(tmp_path, capsys):
    run_training(_workspace(tmp_path, log_dir="run/log files", max_train_epochs=2, debug="true"))
    lines = (tmp_path / "run" / "log files" / "train.log").read_text().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d\|[ID]\|", line) for line in lines)
    said = [line[11:] for line in lines if line[9] == "I"]
    assert capsys.readouterr().out.splitlines()[-len(said) :] == said
    assert said[1].startswith("epoch 2: loss")
    assert said[-1].startswith("best epoch 2, test accuracy")
    batches = [line[11:] for line in lines if line[9] == "D"]
    assert [line.partition(":")[0] for line in batches] == [f"epoch {e}, batch {b}" for e in (1, 2) for b in (1, 2)]


def test_without_debug_the_log_holds_no_batches_and_lies_beside_the_models(tmp_path):
    run_training(_workspace(tmp_path, max_train_epochs=2))
    assert "|D|" not in (tmp_path / "run" / "logs" / "train.log").read_text()


def test_the_card_carries_the_digest_of_the_data_alone(tmp_path):
    def digest(**changes):
        run_training(_workspace(tmp_path, max_train_epochs=2, **changes))
        return json.loads((tmp_path / "run" / "models" / "model.json").read_text())["training_data"]["sha256"]

    first = digest()
    assert digest(seed=4) == first
    clip = next((tmp_path / "data").glob("*.wav"))
    soundfile.write(clip, np.zeros(800), 8000)
    assert digest(seed=4) != first


def test_summaries_hold_measures_of_validation_and_test_figures_and_examples_by_name(tmp_path):
    run_training(_workspace(tmp_path, max_train_epochs=2))
    board = EventAccumulator(str(tmp_path / "run" / "summaries"), size_guidance={"images": 0})
    board.Reload()
    measures = {f"{p}/{m}" for p in ("val", "test") for m in ("loss", "accuracy", "f1", "precision", "tpr", "fpr")}
    assert set(board.Tags()["scalars"]) == {"lr", "train/loss"} | measures
    images = set(board.Tags()["images"])
    assert {f"{p}/{f}" for p in ("val", "test") for f in ("confusion", "roc", "precision_recall")} <= images
    first = (tmp_path / "data" / "val.csv").read_text().split()[0]
    assert f"examples/{first}" in images


def test_the_same_seed_gives_the_same_losses(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        run_training(_workspace(tmp_path / name, augmentation="true", noise_dir="data"))
    assert _curves(tmp_path / "a") == _curves(tmp_path / "b")
    assert torch.equal(_weights(tmp_path / "a"), _weights(tmp_path / "b"))


def test_another_seed_gives_other_losses(tmp_path):
    for seed in (1, 2):
        (tmp_path / str(seed)).mkdir()
        run_training(_workspace(tmp_path / str(seed), seed=seed))
    assert _curves(tmp_path / "1") != _curves(tmp_path / "2")


def test_a_resumed_run_ends_as_an_uninterrupted_one(tmp_path):
    for name in ("whole", "halves"):
        (tmp_path / name).mkdir()
    run_training(_workspace(tmp_path / "whole", augmentation="true"))
    run_training(_workspace(tmp_path / "halves", augmentation="true", max_train_epochs=2))
    run_training(_workspace(tmp_path / "halves", augmentation="true"))
    assert _curves(tmp_path / "whole") == _curves(tmp_path / "halves")
    assert torch.equal(_weights(tmp_path / "whole"), _weights(tmp_path / "halves"))


def test_a_run_goes_on_from_a_checkpoint_of_an_earlier_version(tmp_path):
    for name in ("now", "before"):
        (tmp_path / name).mkdir()
        run_training(_workspace(tmp_path / name, max_train_epochs=2))
    assert make_earlier(tmp_path / "before" / "run" / "checkpoints" / "checkpoint.pt"), "no map with one row"
    for name in ("now", "before"):
        run_training(_workspace(tmp_path / name))
    assert _curves(tmp_path / "now") == _curves(tmp_path / "before")
    assert torch.equal(_weights(tmp_path / "now"), _weights(tmp_path / "before"))


@pytest.mark.parametrize("from_scratch", ["false", "true"])
def test_a_signal_in_mid_epoch_saves_and_the_next_run_ends_the_same(tmp_path, monkeypatch, capsys, from_scratch):
    for name in ("whole", "stopped"):
        (tmp_path / name).mkdir()
    changes = {"batch_size": 3, "augmentation": "true"}
    run_training(_workspace(tmp_path / "whole", **changes))
    cfg = _workspace(tmp_path / "stopped", start_from_scratch=from_scratch, **changes)
    step, clips_seen = Trainer._step, []

    def step_and_signal(self, clips):
        clips_seen.append(clips)
        if len(clips_seen) == 10:  # the second batch of the third epoch
            os.kill(os.getpid(), signal.SIGUSR1)
        return step(self, clips)

    monkeypatch.setattr(Trainer, "_step", step_and_signal)
    with pytest.raises(Stopped, match="epoch 3, batch 2"):
        run_training(cfg)
    run_training(cfg)
    assert "going on after 2 epochs" in capsys.readouterr().out
    assert _curves(tmp_path / "whole") == _curves(tmp_path / "stopped")
    assert torch.equal(_weights(tmp_path / "whole"), _weights(tmp_path / "stopped"))


def test_sigterm_ends_the_command_with_75(tmp_path):
    cfg = _workspace(tmp_path, max_train_epochs=1000, early_stopping_patience_epochs=1000)
    command = [sys.executable, "-c", "from hum_trainer.cli import main; main()", "run", str(cfg)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # spectrograms are being computed
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=120)
    assert process.returncode == 75
    assert (tmp_path / "run" / "checkpoints" / "checkpoint.pt").exists()


def test_a_finished_run_is_a_no_op(tmp_path, capsys):
    cfg = _workspace(tmp_path)
    run_training(cfg)
    before = (tmp_path / "run" / "models" / "ANIMAL-SPOT.pk").stat().st_mtime_ns
    run_training(cfg)
    assert "nothing to do" in capsys.readouterr().out
    assert (tmp_path / "run" / "models" / "ANIMAL-SPOT.pk").stat().st_mtime_ns == before


def test_a_finished_run_without_its_checkpoint_is_a_no_op_and_other_settings_train_anew(tmp_path, capsys):
    run_training(_workspace(tmp_path))
    model = tmp_path / "run" / "models" / "ANIMAL-SPOT.pk"
    before = model.read_bytes()
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    run_training(_workspace(tmp_path))
    assert "nothing to do" in capsys.readouterr().out
    assert model.read_bytes() == before
    run_training(_workspace(tmp_path, seed=8))
    assert "nothing to do" not in capsys.readouterr().out


def test_a_finished_run_is_done_again_from_scratch_where_asked(tmp_path, capsys):
    run_training(_workspace(tmp_path))
    capsys.readouterr()
    run_training(_workspace(tmp_path, start_from_scratch="true"))
    said = capsys.readouterr().out
    assert "going on after" not in said
    assert "nothing to do" not in said


def test_other_settings_train_anew(tmp_path, capsys):
    run_training(_workspace(tmp_path))
    run_training(_workspace(tmp_path, lr=5e-4))
    assert "training starts anew" in capsys.readouterr().err


def test_a_lost_model_is_written_again_from_the_checkpoint(tmp_path):
    cfg = _workspace(tmp_path)
    run_training(cfg)
    before = _weights(tmp_path)
    (tmp_path / "run" / "models" / "ANIMAL-SPOT.pk").unlink()
    run_training(cfg)
    assert torch.equal(_weights(tmp_path), before)


def test_early_stopping_ends_before_the_last_epoch(tmp_path):
    run_training(_workspace(tmp_path, max_train_epochs=40, lr=1e-12, early_stopping_patience_epochs=4))
    card = json.loads((tmp_path / "run" / "models" / "model.json").read_text())
    assert card["n_epochs"] < 40


def test_the_learning_rate_drops_on_a_plateau(tmp_path):
    run_training(_workspace(tmp_path, max_train_epochs=9, lr=1e-7, lr_patience_epochs=1, epochs_per_eval=1))
    rates = [float(line.split(",")[1]) for line in _curves(tmp_path).splitlines()[1:]]
    assert rates[0] == pytest.approx(8e-7)
    assert rates == sorted(rates, reverse=True)
    assert any(rates[-1] == pytest.approx(8e-7 / 2**drops) for drops in range(1, 5))


@pytest.mark.parametrize("changes", [{"freq_compression": "mel"}, {"freq_compression": "mfcc", "n_freq_bins": 40}])
def test_other_front_ends_train(tmp_path, changes):
    run_training(_workspace(tmp_path, max_train_epochs=2, **changes))
    assert load_model(tmp_path / "run" / "models" / "ANIMAL-SPOT.pk", jit=False).data_opts.freq_compression


def test_three_classes_train(tmp_path):
    dataset = {"classes": ("noise", "target", "bird")}
    run_training(_workspace(tmp_path, dataset, num_classes=3, max_train_epochs=2))
    model = load_model(tmp_path / "run" / "models" / "ANIMAL-SPOT.pk", jit=False)
    assert model.classes == {"bird": 0, "noise": 1, "target": 2}


def test_torchscript_is_written_where_asked(tmp_path):
    run_training(_workspace(tmp_path, jit_save="true", max_train_epochs=2))
    model = load_model(tmp_path / "run" / "models" / "ANIMAL-SPOT.pk", jit=True)
    assert model.data_opts.sr == 8000


def test_resnet50_trains_in_bfloat16_or_says_that_it_cannot(tmp_path, capsys):
    run_training(_workspace(tmp_path, resnet=50, precision="bfloat16", max_train_epochs=1))
    said = capsys.readouterr()
    assert "bfloat16" in said.out or "no bfloat16 arithmetic" in said.err


def test_a_broken_clip_is_named_or_left_out(tmp_path, capsys):
    cfg = _workspace(tmp_path)
    broken = next((tmp_path / "data").glob("target*000002*"))
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(AudioError, match=r"filter_broken_audio=true"):
        run_training(cfg)
    run_training(_workspace(tmp_path, filter_broken_audio="true"))
    assert f"{broken.name}: truncated" in capsys.readouterr().err


def test_clips_that_do_not_fit_into_memory_are_refused_before_hours_are_spent(tmp_path, monkeypatch):
    monkeypatch.setattr("hum_trainer.run.free_memory", lambda: 1000)
    with pytest.raises(MachineError, match=r"the spectrograms of 24 clips need .* GiB of memory, .* fewer clips"):
        run_training(_workspace(tmp_path))


def test_a_wrong_number_of_classes_lists_what_was_found(tmp_path):
    with pytest.raises(InputError, match=r"noise \(12\), target \(12\)"):
        run_training(_workspace(tmp_path, num_classes=3))


def test_fmax_above_nyquist_is_refused(tmp_path):
    with pytest.raises(CfgError, match=r"line \d+: fmax 5000 Hz is above half the sample rate, 4000 Hz"):
        run_training(_workspace(tmp_path, fmax=5000))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_cuda_without_a_gpu_fails_at_once(tmp_path):
    with pytest.raises(MachineError, match="no GPU"):
        run_training(_workspace(tmp_path, device="cuda"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_the_device_of_the_command_wins_over_the_cfgs(tmp_path):
    with pytest.raises(MachineError, match="no GPU"):
        run_training(_workspace(tmp_path, device="cpu"), device="cuda")
    run_training(_workspace(tmp_path, device="cuda"), device="cpu")


def test_a_broken_checkpoint_says_what_to_do(tmp_path):
    cfg = _workspace(tmp_path)
    (tmp_path / "run" / "checkpoints").mkdir(parents=True)
    (tmp_path / "run" / "checkpoints" / "checkpoint.pt").write_bytes(b"broken")
    with pytest.raises(InputError, match="start_from_scratch=true"):
        run_training(cfg)
    run_training(_workspace(tmp_path, start_from_scratch="true"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_training_on_a_gpu_learns(tmp_path):
    run_training(_workspace(tmp_path, device="cuda", max_train_epochs=12))
    card = json.loads((tmp_path / "run" / "models" / "model.json").read_text())
    assert card["metrics"]["test"]["accuracy"] == 1.0


def test_training_that_diverges_says_so(tmp_path):
    with pytest.raises(InputError, match=r"diverged: the loss is .* Lower lr"):
        run_training(_workspace(tmp_path, lr=1e30))


def test_a_clip_beyond_all_measure_is_named(tmp_path):
    cfg = _workspace(tmp_path)
    clip = sorted((tmp_path / "data").glob("*.wav"))[0]
    soundfile.write(clip, np.random.default_rng(0).uniform(-1e25, 1e25, 1000), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=f"{clip.name}: samples far beyond full scale"):
        run_training(cfg)


@pytest.mark.parametrize("content", ["", "{", "{}", "[]"])
def test_a_damaged_card_is_written_again_from_the_checkpoint(tmp_path, content):
    cfg = _workspace(tmp_path, max_train_epochs=1)
    run_training(cfg)
    card = tmp_path / "run" / "models" / "model.json"
    before = json.loads(card.read_text())
    card.write_text(content)
    run_training(cfg)
    after = json.loads(card.read_text())
    assert {**after, "provenance": None} == {**before, "provenance": None}


def test_batches_of_one_small_window_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"batch_size=1, 12 training clips: .* Use a batch_size of at least 2"):
        run_training(_workspace(tmp_path, batch_size=1))
    run_training(_workspace(tmp_path, batch_size=1, sequence_len=200, max_pool=2, max_train_epochs=1))


def test_a_full_disk_names_the_log(tmp_path):
    log = TrainingLog(tmp_path / "logs ü", details=False)
    (tmp_path / "logs ü" / "train.log").symlink_to("/dev/full")
    with pytest.raises(OSError, match=r"No space left on device: .*logs ü/train\.log"):
        log.say("hello")


def test_a_signal_while_libraries_are_imported_ends_with_75(tmp_path):
    cfg = _workspace(tmp_path)
    assert told_to_stop_while_importing("hum_trainer.cli", "torch", "run", str(cfg)) == 75
    assert not (tmp_path / "run" / "models" / "ANIMAL-SPOT.pk").exists()


def test_inputs_are_computed_in_float32_whatever_the_network_computes_in():
    """Mel bands and mfcc are matrix products, which autocast would round, also for validation."""

    class Part:
        def centred(self, clips):
            assert not torch.is_autocast_enabled("cpu")
            return torch.zeros(len(clips), 1, 4, 4)

    trainer = object.__new__(Trainer)
    trainer.network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 2))
    trainer.device, trainer.precision = torch.device("cpu"), "bfloat16"
    assert len(trainer.outcome(Part(), torch.tensor([0, 1, 1])).probs) == 3
