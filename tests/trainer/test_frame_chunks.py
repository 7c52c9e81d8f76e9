from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hum_shared.audio import write_wav
from hum_shared.config.training import TrainingCfg
from hum_shared.errors import MachineError
from hum_shared.files import sha256_file
from hum_shared.model.background import HIGHEST, LOWEST
from hum_shared.model.front_end import DataOpts, bin_frequencies
from hum_trainer.frame_chunks import EDGE_WEIGHT, ChunkDrawer, ChunkMaker, Chunks, Spectrograms
from hum_trainer.front_end_options import data_opts
from hum_trainer.labelled_recordings import LabelledRecording, Stretch

HOP_S = 0.01
CALLS = np.array([[1.0, 1.5], [4.0, 4.2]])


def recording(name: str = "a.wav", path: Path = Path("a.wav"), dur_s: float = 10.0) -> LabelledRecording:
    return LabelledRecording(name, path, name, dur_s, 8000, "0" * 64, CALLS, (1, 2))


def maker(*, augment: bool, stretch: Stretch | None = None, frames: int = 100, median_s: float = 0.1) -> ChunkMaker:
    stretch = stretch or Stretch(recording(), 0.0, 10.0)
    # Row t holds t/1000 everywhere: what a chunk shows says where it was cut.
    rows = (torch.arange(1000) / 1000)[:, None].repeat(1, 8).half()
    noise = torch.rand(2 * frames, 8, generator=torch.Generator().manual_seed(0))
    return ChunkMaker(
        [stretch], {"a.wav": rows}, HOP_S, frames, 2, median_s, torch.linspace(100, 3000, 8), noise if augment else None
    )


def rng(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def at(*centres_s: float) -> Chunks:
    return Chunks(np.zeros(len(centres_s), dtype=np.int64), np.array(centres_s))


def test_a_chunk_shows_the_frames_around_its_centre_with_their_labels() -> None:
    calls = np.array([[1.003, 1.502]])
    stretch = Stretch(replace(recording(), calls=calls), 0.0, 10.0)
    inputs, labels, weights = maker(augment=False, stretch=stretch).batch(at(1.25), torch.Generator())
    times_s = 1.255 + (np.arange(100) - 50) * HOP_S
    assert np.allclose(inputs[0, :, 3].numpy(), (times_s / HOP_S - 0.5) / 1000, atol=1e-4)
    assert np.array_equal(labels[0].numpy(), ((times_s >= 1.003) & (times_s < 1.502)).astype(np.float32))
    near = np.abs(times_s[:, None] - calls).min(axis=1) < HOP_S / 2
    assert near.sum() == 2
    assert np.allclose(weights[0].numpy(), np.where(near, EDGE_WEIGHT, 1.0))


@pytest.mark.parametrize(
    ("median_s", "expected"), [(0.4, [1, 1, 1, 2**0.5, 1]), (5.0, [1, 10**0.5, 2**0.5, 4, 1]), (9e9, [1, 4, 4, 4, 1])]
)
def test_frames_of_short_calls_and_pauses_weigh_more(median_s: float, expected: list[float]) -> None:
    _, labels, weights = maker(augment=False, median_s=median_s).batch(at(0.5, 1.25, 2, 4.1, 9), torch.Generator())
    assert labels[:, 50].tolist() == [0, 1, 0, 1, 0]
    assert weights[:, 50].tolist() == pytest.approx(expected)


def test_outside_its_stretch_a_chunk_is_background_that_weighs_nothing() -> None:
    stretch = Stretch(recording(), 3.0, 5.0)
    inputs, _, weights = maker(augment=False, stretch=stretch).batch(at(3.0, 5.0), torch.Generator())
    assert torch.all(inputs[0, :49] == 0)
    assert torch.all(weights[0, :50] == 0)
    assert torch.all(inputs[0, 51:] > 0.29)
    assert torch.all(inputs[1, 51:] == 0)
    assert torch.all(weights[1, 50:] == 0)


def test_variation_draws_from_its_generator_alone_and_keeps_the_range() -> None:
    chunks = at(1.25, 4.1, 7.0, 9.9)
    one, two, other = (maker(augment=True).batch(chunks, rng(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert not torch.equal(one[0], other[0])
    assert one[0].min() >= LOWEST
    assert one[0].max() <= HIGHEST


@pytest.mark.parametrize("centre_s", [1.25, 1.2512, 1.255, 1.2588])
def test_every_frame_is_one_of_the_recording_and_has_its_label(centre_s: float) -> None:
    rows = torch.arange(1000)[:, None].repeat(1, 2).half()
    whole = ChunkMaker([Stretch(recording(), 0, 10)], {"a.wav": rows}, HOP_S, 100, 2, None, torch.ones(2), None)
    inputs, labels, _ = whole.batch(at(centre_s), torch.Generator())
    frame = inputs[0, :, 0].numpy()
    assert np.array_equal(frame, np.arange(frame[0], frame[0] + 100))
    assert abs((frame + 0.5).mean() * HOP_S - centre_s) <= HOP_S + 1e-9
    assert np.array_equal(labels[0].numpy(), (frame >= 100) & (frame < 150))


def test_stretched_and_shifted_noise_is_as_rough_as_it_was() -> None:
    """Interpolated noise is smoother than what a recording is scored from."""
    rough = torch.randn(1000, 64, generator=rng(0)).half()
    quiet = Stretch(replace(recording(), calls=CALLS[:0]), 0.0, 10.0)
    hz, noise = torch.linspace(100, 3000, 64), torch.ones(200, 64)
    varied = ChunkMaker([quiet], {"a.wav": rough}, HOP_S, 100, 2, None, hz, noise)
    alone = [varied.batch(at(centre_s), rng(1))[0] for centre_s in np.linspace(1, 9, 100)]  # nothing to mix with
    shown = torch.cat(alone)
    masked = shown == shown.mean((1, 2), keepdim=True)
    of_the_recording = torch.isin(shown, rough.float())
    assert of_the_recording.float().mean() > 0.7  # the rest is masked
    assert shown[of_the_recording].std() == pytest.approx(rough.float().std().item(), rel=0.03)
    assert len(shown[~of_the_recording].unique()) <= 100  # one mean per chunk
    assert not (masked & of_the_recording).any()


def test_calls_that_a_chunk_does_not_show_say_nothing_about_noise() -> None:
    """A call outside the stretch is labelled but not shown: noise rises by the one that is."""
    rows = torch.zeros(1000, 8).half()
    rows[100:150] = 4.0
    beside = Stretch(recording(), 1.4, 3.0)  # of the first call 0.1 s, less than of the one outside
    hz, noise = torch.linspace(100, 3000, 8), torch.zeros(800, 8)
    shown = ChunkMaker([beside], {"a.wav": rows}, HOP_S, 400, 2, None, hz, noise)
    inputs, labels, weights = shown.batch(Chunks(np.zeros(64, np.int64), np.full(64, 2.7)), torch.Generator())
    assert torch.all(labels[:, 330:340].max() == 1)
    assert torch.all(weights[:, 330:] == 0)
    assert torch.quantile(inputs.amax(dim=(1, 2)), 0.3) < 3.5


def test_half_of_the_chunks_hold_a_call() -> None:
    stretches = [Stretch(recording(), 0.0, 10.0), Stretch(recording("b.wav"), 0.0, 1000.0)]
    chunks = ChunkDrawer(stretches, 1.0).draw(4000, np.random.default_rng(0), [(1, 700.0, 700.5)])
    touches = np.zeros(4000, dtype=bool)
    for start_s, end_s in CALLS:
        touches |= (chunks.centre_s > start_s - 0.5) & (chunks.centre_s < end_s + 0.5)
    assert 0.45 < touches.mean() < 0.6
    again = ChunkDrawer(stretches, 1.0).draw(4000, np.random.default_rng(0), [(1, 700.0, 700.5)])
    assert np.array_equal(chunks.centre_s, again.centre_s)


@pytest.mark.parametrize(("n_negatives", "share"), [(1, 0.125), (2, 0.25), (10, 0.25)])
def test_a_negative_is_drawn_as_often_as_a_call_at_most(n_negatives: int, share: float) -> None:
    stretches = [Stretch(recording(), 0.0, 10.0), Stretch(recording("b.wav"), 0.0, 1000.0)]
    assert sum(len(part.calls) for part in stretches) == 4
    negatives = [(1, 700.0 + 10 * number, 700.5 + 10 * number) for number in range(n_negatives)]
    chunks = ChunkDrawer(stretches, 1.0).draw(4000, np.random.default_rng(0), negatives)
    hard = np.zeros(4000, dtype=bool)
    for _, start_s, end_s in negatives:
        hard |= (chunks.stretch == 1) & (chunks.centre_s > start_s - 0.5) & (chunks.centre_s < end_s + 0.5)
    assert hard.mean() == pytest.approx(share, abs=0.025)


@pytest.mark.parametrize(
    ("recipe", "normalisation", "lowest_db"),
    [
        ("frames", "background", -150),
        ("windows", "background", -150),
        ("windows", "level", -100),
        ("windows", "min_max", -100),
    ],
)
def test_quiet_recordings_are_measured_over_their_background(recipe: str, normalisation: str, lowest_db: float) -> None:
    values = {"sr": 8000, "n_fft": 256, "hop_length": 80, "fmin": 100, "fmax": 3000, "sequence_len": 100}
    cfg = TrainingCfg(
        recipe=recipe, normalisation=normalisation, corpus_index="c", model_dir="m", checkpoint_dir="k", **values
    )
    assert data_opts(cfg).min_level_db == lowest_db


def test_spectrograms_are_kept_on_disk_and_a_broken_one_is_made_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a b$ü.wav"
    write_wav(path, np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32), 8000, "PCM_16")
    opts = DataOpts(
        sr=8000, n_fft=256, hop_length=80, n_freq_bins=8, fmin=0, fmax=4000, freq_compression="mel",
        normalisation="background", background_s=2.0,
    )  # fmt: skip
    own = LabelledRecording(path.name, path, path.name, 1.0, 8000, sha256_file(path), CALLS[:0], ())
    in_memory = Spectrograms(opts, None).of(own)
    kept = Spectrograms(opts, tmp_path / "cache").of(own)
    assert in_memory.shape == (100, 8)
    assert torch.equal(in_memory, kept)
    (file,) = (tmp_path / "cache").iterdir()
    kept = kept.clone()  # off the disk
    whole = file.read_bytes()
    file.write_bytes(whole[:50])
    assert torch.equal(Spectrograms(opts, tmp_path / "cache").of(own), kept)
    assert "broken cache file" in capsys.readouterr().err
    assert file.read_bytes() == whole
    path.unlink()  # from now on only the cache can give it
    assert torch.equal(Spectrograms(opts, tmp_path / "cache").of(own), kept)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("compression", ["linear", "mel"])
def test_bins_stand_for_rising_frequencies_within_the_band(compression: str) -> None:
    opts = DataOpts(
        sr=8000, n_fft=512, hop_length=80, n_freq_bins=32, fmin=200, fmax=3000, freq_compression=compression
    )
    hz = bin_frequencies(opts)
    assert torch.all(hz.diff() > 0)
    assert 180 <= hz[0] < hz[-1] <= 3000


def test_recordings_whose_spectrograms_exceed_the_memory_are_refused_without_a_cache(tmp_path: Path) -> None:
    opts = DataOpts(
        sr=8000, n_fft=256, hop_length=80, n_freq_bins=64, fmin=0, fmax=4000, freq_compression="mel",
        normalisation="background", background_s=2.0,
    )  # fmt: skip
    decade = recording(dur_s=1e10)
    with pytest.raises(MachineError, match=r"2\.78e\+06 h of recordings need .* Name a cache_dir"):
        Spectrograms(opts, None).require_room([recording(), decade])
    Spectrograms(opts, None).require_room([recording()])
    Spectrograms(opts, tmp_path).require_room([decade])
