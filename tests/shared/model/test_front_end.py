"""The front end against a plain float64 version written from the spec."""

import numpy as np
import pytest
import scipy.fft
import torch
import torchaudio.functional

from hum_shared.model.front_end import DataOpts, FrontEnd, linear_bins
from support.golden_recordings import hums
from support.reference_front_end import reference_input

OPTS = {
    "sr": 48000, "preemphases": 0.98, "n_fft": 2048, "hop_length": 1024, "n_freq_bins": 128, "fmin": 0, "fmax": 4000,
    "freq_compression": "linear", "min_level_db": -100, "ref_level_db": 20,
}  # fmt: skip
CASES = {
    "alpaca": {},
    "mel": {"freq_compression": "mel", "n_freq_bins": 64, "fmin": 50},
    "mfcc": {"freq_compression": "mfcc", "n_freq_bins": 64},
    "bird": {"sr": 32000, "n_fft": 512, "hop_length": 128, "fmin": 500, "fmax": 12000},
    "fewer bins than outputs": {"n_fft": 512, "hop_length": 200, "fmax": 3000},
    "up to nyquist": {"sr": 8000, "n_fft": 256, "hop_length": 100, "fmax": 4000},
    "window shorter than n_fft": {"n_fft": 32768},
}


def _windows(opts, seconds=4.0):
    audio, _ = hums(seconds, opts["sr"], 3)
    length = int(0.4 * opts["sr"])
    return torch.from_numpy(audio.copy()).unfold(0, length, length // 2)


@pytest.mark.parametrize("min_max_norm", [True, False])
@pytest.mark.parametrize("case", CASES)
def test_input_equals_the_plain_version(case, min_max_norm):
    opts = OPTS | CASES[case]
    windows = _windows(opts)
    got = FrontEnd(DataOpts.model_validate(opts), min_max_norm=min_max_norm)(windows)
    want = np.stack([reference_input(window.numpy(), opts, min_max_norm) for window in windows])
    assert got.shape == (len(windows), 1, *want.shape[1:])
    error = np.abs(got[:, 0].numpy() - want)
    # The few larger errors are float32 rounding of values near zero, seen through the logarithm.
    assert error.max() < 1e-3
    assert np.quantile(error, 0.999) < 2e-5
    assert error.mean() < 2e-6


def test_a_batch_gives_what_single_windows_give():
    front_end = FrontEnd(DataOpts.model_validate(OPTS), min_max_norm=True)
    windows = _windows(OPTS)
    single = torch.cat([front_end(window[None]) for window in windows])
    torch.testing.assert_close(front_end(windows), single, rtol=0, atol=1e-6)


@pytest.mark.parametrize("min_max_norm", [True, False])
def test_silence_gives_zeros(min_max_norm):
    front_end = FrontEnd(DataOpts.model_validate(OPTS), min_max_norm=min_max_norm)
    assert torch.equal(front_end(torch.zeros(2, 19200)), torch.zeros(2, 1, 17, 128))


def test_old_files_call_the_bins_num_mels():
    old = {key: value for key, value in OPTS.items() if key != "n_freq_bins"} | {"num_mels": 77}
    assert DataOpts.model_validate(old).n_freq_bins == 77


def test_linear_bins_are_spread_by_nearest_neighbour():
    bins = linear_bins(DataOpts.model_validate(OPTS | {"n_freq_bins": 171}))
    assert bins.tolist() == list(range(171))


def test_data_opts_are_written_as_the_originals_write_them():
    written = DataOpts.model_validate(OPTS | {"fmin": 500.0, "fmax": 12000.0}).as_dict()
    assert str(written["fmin"]) == "500"
    assert "sequence_len_ms" not in written


@pytest.mark.parametrize("n_bins", [8, 40, 128])
def test_the_dct_is_scipys_exactly_and_torchaudios_but_for_its_float32(n_bins):
    front_end = FrontEnd(DataOpts.model_validate(OPTS | CASES["mfcc"] | {"n_freq_bins": n_bins}), min_max_norm=False)
    kept = min(n_bins, 33) - 1
    exact = scipy.fft.dct(np.eye(n_bins), type=2, norm=None, axis=1)[:, 1 : kept + 1]
    np.testing.assert_allclose(front_end.dct.numpy(), exact, atol=1e-12)
    table = torchaudio.functional.create_dct(n_bins, n_bins, norm=None)[:, 1 : kept + 1]
    np.testing.assert_allclose(front_end.dct.numpy(), table.numpy(), atol=1e-4)
