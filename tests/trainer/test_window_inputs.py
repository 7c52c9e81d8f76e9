"""Windows as training cuts them equal those of prediction."""

import numpy as np
import pytest
import torch

from hum_shared.grid import window_grid
from hum_shared.model.front_end import DataOpts, FrontEnd
from hum_shared.model.scoring import window_inputs
from hum_shared.model.spectrogram_stream import SpectrogramStream
from hum_trainer.window_inputs import AudioWindowCutter, BackgroundWindowCutter, plain_inputs, varied_inputs
from hum_trainer.window_sampling import SampledWindows

RATE, LENGTH_S, HOP_S = 8000, 0.1, 0.03
AUDIO = np.random.default_rng(0).normal(0, 0.1, RATE * 2).astype(np.float32)


def _opts(**changes):
    values = {"sr": RATE, "n_fft": 256, "hop_length": 64, "n_freq_bins": 20, "fmin": 200, "fmax": 3000}
    return DataOpts(**{**values, "min_max_norm": True, **changes})


def _windows():
    grid = window_grid(len(AUDIO), RATE, LENGTH_S, HOP_S, score_tail=True)
    centre_s = (grid.starts() + grid.length / 2) / RATE
    n = len(centre_s)
    return grid, SampledWindows(np.zeros(n, dtype=np.int64), centre_s, np.zeros(n, dtype=np.bool_))


@pytest.mark.parametrize("compression", ["linear", "mel", "mfcc"])
@pytest.mark.parametrize("min_max_norm", [True, False])
def test_windows_of_audio_are_those_of_prediction(compression, min_max_norm):
    opts = _opts(freq_compression=compression, min_max_norm=min_max_norm, n_freq_bins=40)
    front_end = FrontEnd(opts, min_max_norm=min_max_norm).eval()
    grid, windows = _windows()
    expected = front_end(torch.from_numpy(np.stack([AUDIO[s : s + grid.length] for s in grid.starts()])))
    cutter = AudioWindowCutter([AUDIO], front_end, grid.length)
    assert torch.equal(plain_inputs(cutter, windows), expected)
    assert expected.shape[2] == cutter.frames


def test_windows_of_background_are_those_of_prediction():
    opts = _opts(normalisation="background", background_s=1.0)
    grid, windows = _windows()
    rows = torch.cat(list(SpectrogramStream(opts).rows([AUDIO], len(AUDIO))))
    expected = torch.cat([batch for _, batch in window_inputs([rows], grid, opts.hop_length, 7)])
    cutter = BackgroundWindowCutter([rows], FrontEnd(opts, min_max_norm=False), grid.length)
    assert torch.allclose(plain_inputs(cutter, windows), expected, atol=1e-6)


def _cutters():
    opts = _opts(normalisation="background", background_s=1.0)
    rows = torch.cat(list(SpectrogramStream(opts).rows([AUDIO], len(AUDIO))))
    front_end = FrontEnd(_opts(), min_max_norm=True).eval()
    return {
        "audio": AudioWindowCutter([AUDIO], front_end, 800),
        "background": BackgroundWindowCutter([rows], FrontEnd(opts, min_max_norm=False), 800),
    }


@pytest.mark.parametrize("kind", ["audio", "background"])
def test_wider_windows_hold_the_plain_ones_around_their_centre(kind):
    cutter = _cutters()[kind]
    windows = SampledWindows(np.zeros(2, dtype=np.int64), np.array([0.9, 1.2]), np.zeros(2, dtype=np.bool_))
    plain, _ = cutter.levels(windows, wider=False)
    wide, centre = cutter.levels(windows, wider=True)
    for row in range(2):
        first = round(centre[row].item() - (cutter.frames - 1) / 2)
        assert first > 0
        assert torch.allclose(wide[row, first : first + cutter.frames], plain[row], atol=1e-3)


@pytest.mark.parametrize("kind", ["audio", "background"])
def test_varied_windows_keep_their_shape_and_depend_on_the_generator_alone(kind):
    cutter = _cutters()[kind]
    edges = SampledWindows(np.zeros(3, dtype=np.int64), np.array([0.05, 1.0, 1.95]), np.array([False, True, False]))
    draw = lambda seed: varied_inputs(cutter, edges, edges, torch.Generator().manual_seed(seed))  # noqa: E731
    first = draw(1)
    assert first.shape == (3, 1, cutter.frames, 20)
    assert first.isfinite().all()
    assert torch.equal(first, draw(1))
    assert not torch.equal(first, draw(2))


def test_a_window_shorter_than_the_transform_is_one_frame():
    front_end = FrontEnd(_opts(n_fft=1024, hop_length=512), min_max_norm=False).eval()
    cutter = AudioWindowCutter([AUDIO], front_end, 800)
    windows = SampledWindows(np.zeros(2, dtype=np.int64), np.array([0.05, 1.0]), np.zeros(2, dtype=np.bool_))
    out = varied_inputs(cutter, windows, windows, torch.Generator().manual_seed(0))
    assert out.shape == (2, 1, 1, 20)


def test_another_background_is_measured_over_as_prediction_does_and_gain_is_not_seen():
    cutter = _cutters()["background"]
    level, other = torch.tensor([30.0, 0.0]).view(2, 1, 1), torch.zeros(2, 1, 1)
    below_db, gain_db = torch.tensor([0.0, 0.0]), torch.tensor([6.0, -6.0])
    call, noise = cutter.mixed(level, other, below_db, gain_db).flatten().tolist()
    assert call == pytest.approx(10 * np.log10((1000 + 1) / 2))
    assert noise == pytest.approx(0, abs=1e-6)
    nothing = cutter.mixed(level, other, torch.full((2,), torch.inf), gain_db)
    assert torch.allclose(nothing, level)
