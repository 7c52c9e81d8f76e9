"""Whole prediction runs: exact scores, up-to-date checks, broken recordings."""

import contextlib
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from hum_predictor import run, track_meta
from hum_predictor.run import run_prediction
from hum_shared.errors import CfgError, InputError, ModelError, PartialFailure
from hum_shared.layout import score_file
from hum_shared.model.front_end import DataOpts
from hum_shared.model.model_file import load_model
from hum_shared.model.network import build_network
from hum_shared.model.script_file import save_script
from hum_shared.scores import read_score_track
from support import stand_in_model
from support.early_signal import told_to_stop_while_importing
from support.golden_recordings import hums
from support.reference_front_end import reference_input

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "windows.json").read_text())["alpaca48k"]


def _write_cfg(folder, **changes):
    values = {
        "model_path": folder / "ANIMAL-SPOT.pk", "output_dir": folder / "out", "input_file": folder / "audio",
        "sequence_len": 0.4, "hop": 0.05, "min_max_norm": "true", "device": "cpu",
    } | changes  # fmt: skip
    path = folder / "predict.cfg"
    path.write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    return path


def _workspace(folder, *, sample_rate=48000, seconds=2.0, model=None, name="a b 'ü' $x.v1.wav", **cfg):
    (folder / "audio").mkdir()
    audio, _ = hums(max(seconds, 3), sample_rate, 1)
    audio = audio[: int(seconds * sample_rate)]
    soundfile.write(folder / "audio" / name, audio, sample_rate, subtype="PCM_16")
    stand_in_model.make_pk(folder / "ANIMAL-SPOT.pk", **(model or {"gain": 5.0}))
    return _write_cfg(folder, **cfg)


def _track(folder):
    (path,) = (folder / "out").glob("*.parquet")
    return read_score_track(path)


def _plain_scores(folder, length_s, hop_s, *, min_max_norm, opts):
    """Score one window at a time, in float64, as the spec says."""
    model = load_model(folder / "ANIMAL-SPOT.pk", jit=False)
    (path,) = (folder / "audio").iterdir()
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert rate == opts["sr"]
    audio = audio.mean(axis=1)
    length, step = int(np.ceil(length_s * rate)), int(np.ceil(hop_s * rate))
    count = max(int(np.ceil((len(audio) + 1 - length) / step)), 1)
    probs = []
    encoder, classifier = model.encoder.double(), model.classifier.double()
    for i in range(count):
        window = audio[i * step : min(i * step + length, len(audio))]
        values = torch.from_numpy(reference_input(window, opts, min_max_norm))[None, None]
        with torch.no_grad():
            probs.append(torch.softmax(classifier(encoder(values)), 1)[0].numpy())
    return np.array(probs)


def _golden_cfg(folder):
    audio, _ = hums(**GOLDEN["wav"])
    (folder / "audio").mkdir()
    soundfile.write(folder / "audio" / "g.wav", audio, GOLDEN["wav"]["sr"], subtype="PCM_16")
    stand_in_model.make_pk(folder / "ANIMAL-SPOT.pk", **GOLDEN["pk"])
    return _write_cfg(folder, sequence_len=GOLDEN["sequence_len"], hop=GOLDEN["hop"])


def test_golden_windows(tmp_path):
    run_prediction(_golden_cfg(tmp_path))
    track = _track(tmp_path)
    want = np.array(GOLDEN["windows"])
    np.testing.assert_array_equal(track.start_s, want[:, 0])
    np.testing.assert_array_equal(track.end_s, want[:, 1])
    # This case magnifies rounding thirtyfold (gain 29.5): the vectors themselves lie 7e-5 from float64 arithmetic, and
    # MKL's FFT rounds differently from one instruction set to another; the next test takes that of the vectors.
    np.testing.assert_allclose(track.probs[:, 1], want[:, 2], atol=1e-4)
    assert np.abs(track.probs[:, 1] - want[:, 2]).mean() < 1e-5


@pytest.mark.skipif(not torch.backends.mkl.is_available(), reason="torch without MKL: its FFT is another one")
def test_golden_windows_to_the_contracts_digit_with_the_fft_that_they_were_made_with(tmp_path):
    env = {**os.environ, "MKL_CBWR": "COMPATIBLE"}  # the same rounding on every CPU; read when a process starts
    program = "from hum_predictor.cli import main; main()"
    subprocess.run([sys.executable, "-c", program, "run", _golden_cfg(tmp_path)], env=env, check=True)
    np.testing.assert_allclose(_track(tmp_path).probs[:, 1], np.array(GOLDEN["windows"])[:, 2], rtol=0, atol=1e-5)


def test_golden_windows_to_the_contracts_digit_as_the_original_programs_score_them_on_this_cpu(tmp_path):
    run_prediction(_golden_cfg(tmp_path))
    model = load_model(tmp_path / "ANIMAL-SPOT.pk", jit=False)
    opts = model.data_opts
    audio = torch.from_numpy(soundfile.read(tmp_path / "audio" / "g.wav", dtype="float32")[0])
    hann = torch.hann_window(opts.n_fft)
    highest = math.ceil(opts.n_fft * opts.fmax / opts.sr)  # fmin is 0: so is the lowest bin
    bins = torch.arange(opts.n_freq_bins) * highest // opts.n_freq_bins
    probs = []
    with torch.inference_mode():
        for window in audio.unfold(0, 19200, 2400):  # float32 at every step, one window at a time
            emphasised = torch.cat((window[:1], window[1:] - opts.preemphases * window[:-1]))
            spectrum = torch.stft(
                emphasised, opts.n_fft, opts.hop_length, window=hann, center=False, return_complex=True
            )
            power = (torch.view_as_real(spectrum) / hann.pow(2).sum().sqrt()).pow(2).sum(-1)[bins]
            level = 10 * torch.log10(power.T.clamp(min=10 ** (opts.min_level_db / 10)))
            level = (level - level.min()) / (level.max() - level.min())
            probs.append(torch.softmax(model.classifier(model.encoder(level[None, None])), 1)[0, 1].item())
    np.testing.assert_allclose(_track(tmp_path).probs[:, 1], probs, rtol=0, atol=1e-5)


CASES = {
    "mel": {"data_opts": {"freq_compression": "mel", "fmin": 50}},
    "mfcc": {"data_opts": {"freq_compression": "mfcc"}},
    "resnet34 without pooling": {"resnet": 34},
    "resnet50": {"resnet": 50, "max_pool": 1},
    "three classes": {"classes": {"bird": 0, "noise": 1, "target": 2}},
    "another grid": {"data_opts": {"n_fft": 512, "hop_length": 333, "fmin": 100, "fmax": 9000, "n_freq_bins": 64}},
}


@pytest.mark.parametrize("min_max_norm", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_scores_equal_the_plain_version(tmp_path, case, min_max_norm):
    model = {"gain": 5.0} | CASES[case]
    cfg = _workspace(tmp_path, seconds=1.2, model=model, min_max_norm=str(min_max_norm).lower())
    run_prediction(cfg)
    opts = stand_in_model.DATA_OPTS | model.get("data_opts", {})
    want = _plain_scores(tmp_path, 0.4, 0.05, min_max_norm=min_max_norm, opts=opts)
    np.testing.assert_allclose(_track(tmp_path).probs, want, atol=2e-5)


def test_a_recording_shorter_than_a_window_is_one_shorter_window(tmp_path):
    cfg = _workspace(tmp_path, seconds=0.2)
    run_prediction(cfg)
    track = _track(tmp_path)
    want = _plain_scores(tmp_path, 0.4, 0.05, min_max_norm=True, opts=stand_in_model.DATA_OPTS)
    assert track.end_s.tolist() == [0.2]
    np.testing.assert_allclose(track.probs, want, atol=2e-5)


def test_stereo_is_averaged(tmp_path):
    cfg = _workspace(tmp_path, seconds=1.0)
    (path,) = (tmp_path / "audio").iterdir()
    mono, rate = soundfile.read(path, dtype="float32")
    rng = np.random.default_rng(0)
    side = rng.normal(0, 0.01, len(mono)).astype(np.float32)
    run_prediction(cfg)
    want = _track(tmp_path).probs
    soundfile.write(path, np.stack([mono + side, mono - side], axis=1), rate, subtype="FLOAT")
    run_prediction(cfg)
    np.testing.assert_allclose(_track(tmp_path).probs, want, atol=1e-4)


@pytest.mark.parametrize("rate", [44100, 22050, 96000])
def test_scores_do_not_depend_on_blocks_also_when_resampling(tmp_path, rate):
    cfg = _workspace(tmp_path, sample_rate=rate, seconds=3.0, score_tail="true")
    run_prediction(cfg)
    whole = _track(tmp_path)
    run_prediction(_write_cfg(tmp_path, output_dir=tmp_path / "blocks", score_tail="true", block_seconds=0.25))
    (path,) = (tmp_path / "blocks").glob("*.parquet")
    blocks = read_score_track(path)
    np.testing.assert_array_equal(blocks.probs, whole.probs)
    np.testing.assert_array_equal(blocks.start_s, whole.start_s)


def test_score_tail_covers_the_end(tmp_path):
    cfg = _workspace(tmp_path, seconds=1.03, hop=0.1)
    run_prediction(cfg)
    assert _track(tmp_path).end_s[-1] == 1.0
    run_prediction(_write_cfg(tmp_path, hop=0.1, score_tail="true"))
    track = _track(tmp_path)
    assert (track.start_s[-1], track.end_s[-1]) == (0.63, 1.03)


def test_torchscript_scores_like_the_plain_file(tmp_path):
    cfg = _workspace(tmp_path, seconds=1.0)
    run_prediction(cfg)
    want = _track(tmp_path).probs
    model = load_model(tmp_path / "ANIMAL-SPOT.pk", jit=False)
    network = build_network(resnet_size=18, max_pool=2, conv_kernel_size=7, num_classes=2)
    network.encoder.load_state_dict(model.encoder.state_dict())
    network.classifier.load_state_dict(model.classifier.state_dict())
    save_script(
        tmp_path / "script.pk", network, DataOpts.model_validate(model.raw_data_opts), model.classes,
        torch.rand(1, 1, 17, 128),
    )  # fmt: skip
    run_prediction(_write_cfg(tmp_path, model_path=tmp_path / "script.pk", jit_load="true"))
    np.testing.assert_allclose(_track(tmp_path).probs, want, atol=1e-5)


def test_a_second_run_does_nothing(tmp_path, capsys):
    cfg = _workspace(tmp_path)
    run_prediction(cfg)
    (path,) = (tmp_path / "out").glob("*.parquet")
    before = path.stat().st_mtime_ns
    run_prediction(cfg)
    assert path.stat().st_mtime_ns == before
    assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize("change", ["audio", "model", "hop"])
def test_a_change_of_input_scores_again(tmp_path, change):
    cfg = _workspace(tmp_path)
    run_prediction(cfg)
    before = _track(tmp_path).meta.inputs_sha256
    if change == "audio":
        (path,) = (tmp_path / "audio").iterdir()
        soundfile.write(path, np.zeros(96000), 48000)
    elif change == "model":
        stand_in_model.make_pk(tmp_path / "ANIMAL-SPOT.pk", gain=6.0)
    else:
        cfg = _write_cfg(tmp_path, hop=0.1)
    run_prediction(cfg)
    assert _track(tmp_path).meta.inputs_sha256 != before


def test_tracks_of_recordings_that_are_gone_are_warned_about(tmp_path, capsys):
    cfg = _workspace(tmp_path)
    run_prediction(cfg)
    assert "score tracks of recordings" not in capsys.readouterr().err
    (recording,) = (tmp_path / "audio").iterdir()
    recording.rename(recording.with_name("renamed.wav"))
    run_prediction(cfg)
    said = capsys.readouterr().err
    assert "holds 1 score tracks of recordings that input_file does not name, the first is a b" in said


def test_the_threshold_alone_does_not_score_again(tmp_path, capsys):
    run_prediction(_workspace(tmp_path, threshold=0.5))
    run_prediction(_write_cfg(tmp_path, threshold=0.9))
    assert "nothing to do" in capsys.readouterr().out


def test_broken_recordings_are_named_and_the_rest_is_scored(tmp_path):
    cfg = _workspace(tmp_path)
    audio = tmp_path / "audio"
    (audio / "empty.wav").touch()
    (audio / "text.wav").write_text("not audio")
    soundfile.write(audio / "nan.wav", np.array([0.1, np.nan] * 24000, dtype="f4"), 48000, subtype="FLOAT")
    soundfile.write(audio / "zero.wav", np.zeros(0), 48000)
    whole = next(audio.glob("a b*")).read_bytes()
    (audio / "cut.wav").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PartialFailure, match="5 of 6"):
        run_prediction(cfg)
    failures = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert sorted(failures) == ["cut.wav", "empty.wav", "nan.wav", "text.wav", "zero.wav"]
    assert "truncated" in failures["cut.wav"]
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 1
    assert not list((tmp_path / "out").glob(".*"))


def test_odd_recordings_do_not_keep_the_others_from_being_scored(tmp_path, monkeypatch):
    cfg = _workspace(tmp_path, name="a.wav")
    audio = tmp_path / "audio"
    whole = (audio / "a.wav").read_bytes()
    long = "x" * 236 + ".wav"
    for name in (b"b.wav_10_5.wav", b"b\xff.wav", b"gone.wav", b"grows.wav", long.encode(), b"z.wav"):
        (audio / os.fsdecode(name)).write_bytes(whole)
    digest = run.sha256_file

    def meanwhile(path):
        if path.name == "gone.wav":
            path.unlink()
        if path.name == "grows.wav":
            soundfile.write(path, np.zeros(200_000), 48000)
        return digest(path)

    monkeypatch.setattr(run, "sha256_file", meanwhile)
    with pytest.raises(PartialFailure, match="5 of 7"):
        run_prediction(cfg)
    failures = json.loads((tmp_path / "out" / "failures.json").read_text(encoding="utf-8"))
    reasons = {
        "b.wav_10_5.wav": "not after its start", "b\N{REPLACEMENT CHARACTER}.wav": "not UTF-8 text",
        "gone.wav": "Check that it is there", "grows.wav": "longer or shorter since the run began",
        long: "too long a name",
    }  # fmt: skip
    assert failures.keys() == reasons.keys()
    assert all(reason in failures[name] for name, reason in reasons.items())
    assert sorted(path.name[0] for path in (tmp_path / "out").glob("*.parquet")) == ["a", "z"]


def test_a_recording_beyond_all_measure_fails_instead_of_scoring_nan(tmp_path):
    cfg = _workspace(tmp_path)
    samples = np.random.default_rng(0).uniform(-1e25, 1e25, 48000).astype("f4")
    soundfile.write(tmp_path / "audio" / "loud.wav", samples, 48000, subtype="FLOAT")
    with pytest.raises(PartialFailure):
        run_prediction(cfg)
    failures = json.loads((tmp_path / "out" / "failures.json").read_text())
    assert list(failures) == ["loud.wav"]
    assert "scores are NaN at 0.000 s" in failures["loud.wav"]
    assert len(list((tmp_path / "out").glob("*.parquet"))) == 1


def test_the_next_recording_is_read_for_its_digest_while_one_is_scored(tmp_path, monkeypatch):
    cfg = _workspace(tmp_path, name="a.wav")
    shutil.copy(tmp_path / "audio" / "a.wav", tmp_path / "audio" / "b.wav")
    (tmp_path / "audio" / "c.wav").write_bytes(b"no audio")
    digest, score, next_is_read = run.sha256_file, run._score, threading.Event()

    def watched_digest(path):
        if path.name == "b.wav":
            next_is_read.set()
        return digest(path)

    def watched_score(path, *rest):
        if path.name == "a.wav":
            assert next_is_read.wait(30)
        score(path, *rest)

    monkeypatch.setattr(run, "sha256_file", watched_digest)
    monkeypatch.setattr(run, "_score", watched_score)
    with pytest.raises(PartialFailure, match="1 of 3 recordings"):
        run_prediction(cfg)
    for name in ("a.wav", "b.wav"):
        assert read_score_track(score_file(tmp_path / "out", name)).meta.recording_sha256 == digest(
            tmp_path / "audio" / name
        )
    assert not any(thread.name == "reader" for thread in threading.enumerate())


def test_failures_are_forgotten_once_mended(tmp_path):
    cfg = _workspace(tmp_path)
    broken = tmp_path / "audio" / "broken.wav"
    broken.touch()
    with pytest.raises(PartialFailure):
        run_prediction(cfg)
    broken.unlink()
    run_prediction(cfg)
    assert not (tmp_path / "out" / "failures.json").exists()


def test_a_whole_run_forgets_what_failed_in_shards(tmp_path):
    cfg = _workspace(tmp_path)
    broken = tmp_path / "audio" / "broken.wav"
    broken.touch()
    for shard in ("1/2", "2/2"):
        with contextlib.suppress(PartialFailure):
            run_prediction(cfg, shard=shard)
    (file,) = (tmp_path / "out").glob("failures_*of2.json")
    assert list(json.loads(file.read_text())) == ["broken.wav"]
    with contextlib.suppress(PartialFailure):
        run_prediction(cfg, shard="1/3")
    assert not list((tmp_path / "out").glob("failures_*of2.json"))
    broken.unlink()
    run_prediction(cfg)
    assert not list((tmp_path / "out").glob("failures*"))


def test_silence_is_scored(tmp_path):
    cfg = _workspace(tmp_path)
    (path,) = (tmp_path / "audio").iterdir()
    soundfile.write(path, np.zeros(48000), 48000)
    run_prediction(cfg)
    assert np.isfinite(_track(tmp_path).probs).all()


def test_normalisation_must_be_that_of_the_training(tmp_path):
    cfg = _workspace(tmp_path, model={"data_opts": {"min_max_norm": False}})
    with pytest.raises(ModelError, match="min_max_norm=true, but the model was trained with min_max_norm=false"):
        run_prediction(cfg)


def test_another_window_than_in_training_is_warned_about(tmp_path, capsys):
    run_prediction(_workspace(tmp_path, model={"data_opts": {"sequence_len_ms": 500}}))
    assert "trained on windows of 0.5 s" in capsys.readouterr().err


def test_hop_beyond_the_window_is_refused(tmp_path):
    with pytest.raises(CfgError, match="windows would leave gaps"):
        run_prediction(_workspace(tmp_path, hop=0.6))


def test_a_missing_input_is_refused(tmp_path):
    cfg = _workspace(tmp_path, input_file=tmp_path / "nowhere")
    with pytest.raises(InputError, match="nowhere"):
        run_prediction(cfg)


def test_latent_features_and_pictures_and_logs_are_written_where_asked(tmp_path):
    cfg = _workspace(
        tmp_path, name=r"x$_$ü \frac$.wav", latent_extract="true", visualize="true", legacy_log="true",
        log_dir=tmp_path / "logs",
    )  # fmt: skip
    run_prediction(cfg)
    import pyarrow.parquet as pq

    (latent,) = (tmp_path / "out").glob("*_latent.parquet")
    table = pq.read_table(latent)
    scores = next((tmp_path / "out").glob("*_predict_output.parquet"))
    assert table.num_rows == len(read_score_track(scores).probs)
    assert len(table["latent"][0]) == 512
    (picture,) = (tmp_path / "out").glob("*.png")
    assert picture.read_bytes()[:4] == b"\x89PNG"
    (log,) = (tmp_path / "logs").glob("*_predict_output.log")
    lines = log.read_text().splitlines()
    assert sum("|I|time=" in line for line in lines) == table.num_rows


def test_the_text_log_follows_the_threshold(tmp_path):
    run_prediction(_workspace(tmp_path, legacy_log="true", threshold=0))
    run_prediction(_write_cfg(tmp_path, legacy_log="true", threshold=1))
    (log,) = (tmp_path / "out").glob("*.log")
    assert "threshold: 1.0," in log.read_text()
    assert "pred=1" not in log.read_text()


def test_a_text_log_of_earlier_scores_is_none_whatever_its_time_says(tmp_path):
    run_prediction(_workspace(tmp_path, legacy_log="true"))
    (log,) = (tmp_path / "out").glob("*.log")
    before = log.read_text()
    os.utime(log, (time.time() + 86400,) * 2)  # the clock was a day ahead
    (path,) = (tmp_path / "audio").iterdir()
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, 96000), 48000)
    run_prediction(_write_cfg(tmp_path, legacy_log="true"))
    assert log.read_text() != before


def test_a_picture_has_its_line_at_the_threshold(tmp_path):
    run_prediction(_workspace(tmp_path, visualize="true", threshold=0.5))
    (picture,) = (tmp_path / "out").glob("*.png")
    before = picture.read_bytes()
    run_prediction(_write_cfg(tmp_path, visualize="true", threshold=0.9))
    moved = picture.read_bytes()
    assert moved != before
    stamp = picture.stat().st_mtime_ns
    run_prediction(_write_cfg(tmp_path, visualize="true", threshold=0.9))
    assert picture.stat().st_mtime_ns == stamp


def test_a_recording_that_was_replaced_since_its_digest_was_taken_is_not_scored_for_it(tmp_path, monkeypatch):
    cfg = _workspace(tmp_path)
    (path,) = (tmp_path / "audio").iterdir()
    other = tmp_path / "other.wav"
    soundfile.write(other, np.random.default_rng(0).uniform(-0.1, 0.1, 96000), 48000)

    def described(*arguments, **options):
        other.replace(path)
        return track_meta.described(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(run, "described", described)
        with pytest.raises(PartialFailure, match="1 of 1 recordings could not be scored"):
            run_prediction(cfg)
    assert "has been replaced since the run began" in (tmp_path / "out" / "failures.json").read_text()
    run_prediction(cfg)
    assert not (tmp_path / "out" / "failures.json").exists()


def test_an_up_to_date_text_log_is_left_alone(tmp_path):
    cfg = _workspace(tmp_path, legacy_log="true")
    run_prediction(cfg)
    (log,) = (tmp_path / "out").glob("*.log")
    before = log.stat().st_mtime_ns
    run_prediction(cfg)
    assert log.stat().st_mtime_ns == before


@pytest.mark.parametrize("extra", ["latent_extract", "visualize", "legacy_log"])
def test_what_was_made_from_older_scores_is_made_anew(tmp_path, extra):
    def files():
        return {path: path.read_bytes() for path in (tmp_path / "out").iterdir()}

    run_prediction(_workspace(tmp_path, **{extra: "true"}))
    stale = files()
    (path,) = (tmp_path / "audio").iterdir()
    soundfile.write(path, np.random.default_rng(0).uniform(-0.1, 0.1, 96000), 48000)
    run_prediction(_write_cfg(tmp_path))  # only scores
    run_prediction(_write_cfg(tmp_path, **{extra: "true"}))
    assert files().keys() == stale.keys()
    assert all(content != stale[path] for path, content in files().items())


def test_debug_says_more_also_in_the_text_log(tmp_path, capsys):
    run_prediction(_workspace(tmp_path, legacy_log="true", debug="true"))
    assert "96000 samples at 48000 Hz, 33 windows, to be scored" in capsys.readouterr().out
    (log,) = (tmp_path / "out").glob("*.log")
    assert any("|D|front end: {'sr': 48000" in line for line in log.read_text().splitlines())
    run_prediction(_write_cfg(tmp_path, legacy_log="true"))
    assert "|I|size of the file" in log.read_text()


def test_sigterm_ends_with_75_and_the_next_run_completes(tmp_path):
    cfg = _workspace(tmp_path, seconds=60.0, batch_size=1)
    command = [sys.executable, "-c", "from hum_predictor.cli import main; main()", "run", str(cfg)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()  # the model is loaded, scoring begins
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 75
    assert not list((tmp_path / "out").glob("*"))  # perhaps it was not even made
    run_prediction(_write_cfg(tmp_path))
    assert _track(tmp_path).meta.n_rows == 1193


def test_a_signal_while_libraries_are_imported_ends_with_75(tmp_path):
    cfg = _workspace(tmp_path)
    assert told_to_stop_while_importing("hum_predictor.cli", "torch", "run", str(cfg)) == 75
    assert not list((tmp_path / "out").glob("*"))
