"""Prediction with models that score frames, and with windows cut from the background-normalised spectrogram."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from hum_predictor.run import run_prediction
from hum_shared.errors import ModelError
from hum_shared.model.dense import DenseNetwork
from hum_shared.model.front_end import DataOpts
from hum_shared.model.model_file import load_model, save_dense_model, save_model
from hum_shared.model.network import build_network
from hum_shared.model.spectrogram_stream import SpectrogramStream
from hum_shared.scores import read_score_track

OPTS = DataOpts(
    sr=8000, n_fft=256, hop_length=64, n_freq_bins=16, fmin=0, fmax=4000, freq_compression="mel",
    normalisation="background", background_s=1.0,
)  # fmt: skip
CLASSES = {"noise": 0, "target": 1}


def _dense(path: Path) -> DenseNetwork:
    torch.manual_seed(0)
    network = DenseNetwork(
        members=2, n_freq_bins=16, channels=(4, 4, 4, 4), width=8, dilations=(1, 2, 4), num_classes=2
    ).eval()
    save_dense_model(path, network, OPTS, CLASSES)
    return network


def _predict(folder: Path, seconds: float = 3.0, **changes: object) -> None:
    (folder / "audio").mkdir(exist_ok=True)
    audio = np.random.default_rng(1).normal(0, 0.1, round(8000 * seconds)).astype(np.float32)
    recording = folder / "audio" / "a 'b' $ü.v1.wav"
    if not recording.exists():  # written once more in another second, it differs: the format keeps the time
        soundfile.write(recording, audio, 8000, subtype="FLOAT")
    values = {
        "model_path": folder / "m.pk", "output_dir": folder / "out", "input_file": folder / "audio",
        "sequence_len": 0.4, "hop": 0.05, "device": "cpu",
    } | changes  # fmt: skip
    (folder / "p.cfg").write_text("".join(f"{key}={value}\n" for key, value in values.items()))
    run_prediction(folder / "p.cfg")


def _track(folder):
    (path,) = (folder / "out").glob("*.parquet")
    return read_score_track(path)


def _rows(folder):
    audio, _ = soundfile.read(next((folder / "audio").iterdir()), dtype="float32")
    return torch.cat(list(SpectrogramStream(OPTS).rows([audio], len(audio))))


@pytest.mark.parametrize("block_seconds", [60, 0.07])
def test_a_dense_model_gives_a_row_per_frame(tmp_path, block_seconds):
    network = _dense(tmp_path / "m.pk")
    _predict(tmp_path, block_seconds=block_seconds, batch_size=60)
    track = _track(tmp_path)
    with torch.no_grad():
        want = torch.softmax(network(_rows(tmp_path)[None])[0], dim=1).numpy()
    assert (track.meta.kind, track.meta.step, track.meta.length, track.meta.tail) == ("frame", 64, 64, None)
    assert len(track.probs) == 375
    np.testing.assert_allclose(track.probs, want, atol=1e-5)
    np.testing.assert_allclose(track.start_s, np.arange(375) * 0.008, atol=1e-12)
    np.testing.assert_allclose(track.end_s, np.arange(1, 376) * 0.008, atol=1e-12)


def test_a_recording_of_one_sample_has_one_frame(tmp_path):
    _dense(tmp_path / "m.pk")
    _predict(tmp_path, seconds=1 / 8000)
    assert len(_track(tmp_path).probs) == 1


def test_a_track_is_kept_whatever_window_and_threshold_the_cfg_names(tmp_path, capsys):
    _dense(tmp_path / "m.pk")
    _predict(tmp_path)
    _predict(tmp_path, sequence_len=0.1, hop=0.1, threshold=0.9)
    assert "nothing to do" in capsys.readouterr().out


def test_features_of_windows_are_refused(tmp_path):
    _dense(tmp_path / "m.pk")
    with pytest.raises(ModelError, match="latent_extract=true"):
        _predict(tmp_path, latent_extract="true")


def test_windows_are_cut_from_the_spectrogram_where_the_model_wants_its_background_taken_out(tmp_path):
    torch.manual_seed(0)
    network = build_network(resnet_size=18, max_pool=1, conv_kernel_size=7, num_classes=2).eval()
    save_model(tmp_path / "m.pk", network, OPTS, CLASSES)
    _predict(tmp_path, seconds=1.0)
    rows, track = _rows(tmp_path), _track(tmp_path)
    assert track.meta.kind == "window"
    assert len(track.probs) == 13
    with torch.no_grad():
        fifth = torch.softmax(network(rows[25:75][None, None]), dim=1)[0].numpy()  # samples 1600 to 4800
    np.testing.assert_allclose(track.probs[4], fifth, atol=2e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"architecture": "transformer"}, "architecture 'transformer' is unknown"),
        ({"encoderOpts": {"members": 2}}, "lack or misspell"),
        ({"encoderState": {}}, "do not fit the dense network"),
    ],
)
def test_a_broken_dense_model_is_named(tmp_path, change, message):
    _dense(tmp_path / "m.pk")
    content = torch.load(tmp_path / "m.pk", weights_only=True)
    torch.save(content | change, tmp_path / "m.pk")
    with pytest.raises(ModelError, match=message):
        load_model(tmp_path / "m.pk", jit=False)


def test_equal_dense_models_give_equal_bytes(tmp_path):
    _dense(tmp_path / "a.pk")
    _dense(tmp_path / "b.pk")
    assert (tmp_path / "a.pk").read_bytes() == (tmp_path / "b.pk").read_bytes()
