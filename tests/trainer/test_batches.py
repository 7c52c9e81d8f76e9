"""Windows cut from stored spectrograms, and their augmentation."""

import numpy as np
import pytest
import soundfile
import torch

from hum_shared.model.front_end import DataOpts, FrontEnd
from hum_trainer.batches import BatchMaker, mix, shift_pitch, shuffled
from hum_trainer.clips import Clip
from hum_trainer.spectrograms import build_store, n_frames, stored_bytes

WINDOW, RATE = 3200, 8000


def _opts(**changes):
    values = {
        "sr": RATE, "n_fft": 256, "hop_length": 100, "n_freq_bins": 40, "fmin": 100, "fmax": 3000,
        "freq_compression": "linear",
    } | changes  # fmt: skip
    return DataOpts.model_validate(values)


def _clips(folder, lengths):
    rng = np.random.default_rng(0)
    clips = []
    for i, length in enumerate(lengths):
        path = folder / f"target-Q1_{i}.wav"
        soundfile.write(path, rng.normal(0, 0.1, length), RATE, subtype="FLOAT")
        clips.append(Clip(path, "target"))
    return clips


def _store(clips, front_end, *, whole, cache_dir=None, window=WINDOW):
    return build_store(
        clips, front_end, window, whole=whole, bins=front_end.opts.n_fft // 2 + 1, cache_dir=cache_dir,
        num_workers=1, filter_broken=False,
    )  # fmt: skip


@pytest.mark.parametrize("compression", ["linear", "mel", "mfcc"])
@pytest.mark.parametrize("length", [1000, 3200, 5001])
def test_a_centred_window_is_what_prediction_sees(tmp_path, compression, length):
    front_end = FrontEnd(_opts(freq_compression=compression), min_max_norm=True)
    clips = _clips(tmp_path, [length])
    store = _store(clips, front_end, whole=False)
    got = BatchMaker(store, front_end, n_frames(WINDOW, 256, 100), None, False).centred(torch.tensor([0]))
    audio = soundfile.read(clips[0].path, dtype="float32")[0]
    if length < WINDOW:
        before = (WINDOW - length) // 2
        audio = np.pad(audio, (before, WINDOW - length - before))
    start = (len(audio) - WINDOW) // 2
    want = front_end(torch.from_numpy(audio[start : start + WINDOW])[None])
    torch.testing.assert_close(got, want, rtol=0, atol=2e-6)


@pytest.mark.parametrize("length", [1000, 3200, 5001])
def test_every_random_window_is_one_that_prediction_could_see(tmp_path, length):
    front_end = FrontEnd(_opts(), min_max_norm=True)
    clips = _clips(tmp_path, [length])
    maker = BatchMaker(_store(clips, front_end, whole=True), front_end, n_frames(WINDOW, 256, 100), None, False)
    audio = soundfile.read(clips[0].path, dtype="float32")[0]
    missing = max(0, WINDOW - length)
    padded = np.pad(audio, (missing // 100 * 100, missing))
    possible = front_end(torch.from_numpy(padded.copy()).unfold(0, WINDOW, 100))
    drawn = maker.random(torch.zeros(600, dtype=torch.long), torch.Generator().manual_seed(0))
    distance = (drawn[:, None] - possible[None]).abs().amax((2, 3, 4)).amin(1)
    assert distance.max() < 2e-6
    positions = (drawn[:, None] - possible[None]).abs().amax((2, 3, 4)).argmin(1).unique()
    assert len(positions) == len(possible)


@pytest.mark.parametrize(("n_fft", "whole"), [(256, True), (256, False), (4096, True)])
def test_the_room_that_spectrograms_take_is_known_before_they_are_made(tmp_path, n_fft, whole):
    front_end = FrontEnd(_opts(n_fft=n_fft), min_max_norm=False)
    clips = _clips(tmp_path, [1000, 3200, 3250, 5001])
    power = _store(clips, front_end, whole=whole).power
    assert stored_bytes(clips, front_end, WINDOW, whole=whole, bins=power.shape[1]) == power.numel() * 4
    gone = Clip(tmp_path / "gone.wav", "target")  # told when it is read
    assert stored_bytes([gone], front_end, WINDOW, whole=whole, bins=9) == 0


def test_a_window_shorter_than_n_fft_is_padded_like_in_prediction(tmp_path):
    front_end = FrontEnd(_opts(n_fft=4096), min_max_norm=False)
    clips = _clips(tmp_path, [3200])
    maker = BatchMaker(_store(clips, front_end, whole=True), front_end, n_frames(WINDOW, 4096, 100), None, False)
    audio = torch.from_numpy(soundfile.read(clips[0].path, dtype="float32")[0])
    drawn = maker.random(torch.tensor([0]), torch.Generator().manual_seed(0))
    torch.testing.assert_close(drawn, front_end(audio[None]), rtol=0, atol=2e-6)


def test_the_cache_gives_what_computing_gives(tmp_path):
    front_end = FrontEnd(_opts(), min_max_norm=True)
    clips = _clips(tmp_path, [1000, 5000])
    computed = _store(clips, front_end, whole=True)
    first = _store(clips, front_end, whole=True, cache_dir=tmp_path / "cache")
    second = _store(clips, front_end, whole=True, cache_dir=tmp_path / "cache")
    for store in (first, second):
        assert torch.equal(store.power, computed.power)
        assert torch.equal(store.first, computed.first)
    assert len(list((tmp_path / "cache").iterdir())) == 1


@pytest.mark.parametrize("n_bytes", [0, 100, -1])
def test_a_damaged_cache_is_computed_again(tmp_path, capsys, n_bytes):
    clips, front_end = _clips(tmp_path, [1000, 5000]), FrontEnd(_opts(), min_max_norm=True)
    first = _store(clips, front_end, whole=True, cache_dir=tmp_path / "cache")
    (file,) = (tmp_path / "cache").iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:n_bytes])
    again = _store(clips, front_end, whole=True, cache_dir=tmp_path / "cache")
    assert torch.equal(first.power, again.power)
    assert f"{file.name}: broken cache file" in capsys.readouterr().err
    assert np.load(file)["frames"].tolist() == first.frames.tolist()


def test_the_cache_knows_a_changed_clip(tmp_path):
    front_end = FrontEnd(_opts(), min_max_norm=True)
    clips = _clips(tmp_path, [1000])
    before = _store(clips, front_end, whole=True, cache_dir=tmp_path / "cache")
    soundfile.write(clips[0].path, np.zeros(1000), RATE)
    after = _store(clips, front_end, whole=True, cache_dir=tmp_path / "cache")
    assert not torch.equal(before.power, after.power)


def test_an_octave_up_doubles_the_bin():
    power = torch.zeros(1, 2, 16)
    power[:, :, 3] = 1
    assert shift_pitch(power, torch.tensor([2.0]))[0, 0].argmax() == 6


def test_pitch_by_one_changes_nothing():
    power = torch.rand(3, 4, 16)
    torch.testing.assert_close(shift_pitch(power, torch.ones(3)), power)


def test_noise_is_mixed_at_the_ratio_asked_for():
    power, noise = torch.rand(2, 5, 8), torch.rand(2, 5, 8)
    mixed = mix(power, noise, torch.tensor([0.0, 10.0]))
    ratio = power.mean((1, 2)) / (mixed - power).mean((1, 2))
    torch.testing.assert_close(10 * ratio.log10(), torch.tensor([0.0, 10.0]), atol=1e-4, rtol=0)


def test_silent_noise_adds_nothing():
    power = torch.rand(1, 5, 8)
    assert torch.equal(mix(power, torch.zeros(1, 5, 8), torch.tensor([0.0])), power)


def test_augmentation_varies_and_stays_in_range(tmp_path):
    front_end = FrontEnd(_opts(), min_max_norm=True)
    store = _store(_clips(tmp_path, [2000, 9000]), front_end, whole=True)
    maker = BatchMaker(store, front_end, n_frames(WINDOW, 256, 100), store, True)
    drawn = maker.random(torch.tensor([0, 0, 1, 1]), torch.Generator().manual_seed(0))
    assert drawn.shape == (4, 1, n_frames(WINDOW, 256, 100), 40)
    assert 0 <= drawn.min() <= drawn.max() <= 1
    assert not torch.equal(drawn[0], drawn[1])


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33])
def test_an_epoch_holds_every_clip_once_and_no_lonely_last_one(n):
    batches = shuffled(n, 16, torch.Generator().manual_seed(0))
    assert sorted(torch.cat(batches).tolist()) == list(range(n))
    assert n == 1 or min(len(batch) for batch in batches) > 1
