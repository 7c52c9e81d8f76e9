import math
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hum_shared import audio
from hum_shared.errors import AudioError
from support.full_disk import full_disk

RATE = 8000


def _noise(frames: int = 4000, channels: int = 1, seed: int = 0) -> NDArray[np.float32]:
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, (frames, channels))
    return samples.astype(np.float32)


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def _wav(samples: NDArray[np.int16], before: bytes = b"", data_size: int | None = None) -> bytes:
    """Return a mono 16-bit WAV with chunks before the data and any size in the header."""
    size = samples.nbytes if data_size is None else data_size
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE * 2, 2, 16)
    body = b"WAVE" + _chunk(b"fmt ", form) + before + b"data" + struct.pack("<I", size) + samples.tobytes()
    return b"RIFF" + struct.pack("<I", len(body) if data_size is None else 0xFFFFFFFF) + body


@pytest.mark.parametrize(
    ("suffix", "subtype", "step"),
    [
        ("wav", "PCM_16", 2**-15),
        ("wav", "PCM_24", 2**-23),
        ("wav", "PCM_32", 2**-24),
        ("wav", "FLOAT", 0.0),
        ("wav", "PCM_U8", 2**-7),
        ("flac", "PCM_16", 2**-15),
        ("aiff", "PCM_24", 2**-23),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_lossless_formats_keep_the_samples(
    tmp_path: Path, suffix: str, subtype: str, step: float, channels: int
) -> None:
    path = tmp_path / f"Grüne Weide $1 'a'.b.{suffix}"
    samples = _noise(channels=channels)
    soundfile.write(path, samples, RATE, subtype=subtype)
    assert audio.probe(path) == audio.AudioInfo(4000, RATE, channels, subtype)
    np.testing.assert_allclose(audio.read_frames(path), samples, atol=step)
    np.testing.assert_allclose(audio.read_mono(path), samples.mean(axis=1), atol=step)
    np.testing.assert_array_equal(audio.read_frames(path, 100, 250), audio.read_frames(path)[100:250])


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_lossy_formats_are_read_in_blocks_as_in_one_piece(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(3 * RATE) / RATE)
    soundfile.write(path, tone, RATE)
    whole = audio.read_mono(path)
    assert whole.size == audio.probe(path).frames
    assert np.abs(np.fft.rfft(whole)).argmax() * RATE / whole.size == pytest.approx(440, abs=1)
    np.testing.assert_allclose(np.concatenate(list(audio.mono_blocks(path, 0.7))), whole, atol=1e-6)


@pytest.mark.parametrize("suffix", ["ogg", "mp3"])
def test_any_part_of_a_lossy_recording_equals_that_of_the_whole(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    t = np.arange(8 * 44_100) / 44_100
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * (200 + 100 * t) * t), 44_100)
    whole = audio.read_mono(path)
    for start in range(0, 7 * 44_100, 20_011):
        np.testing.assert_allclose(audio.read_mono(path, start, start + 9000), whole[start : start + 9000], atol=1e-4)


@pytest.mark.parametrize(("rate", "level"), [(44_100, 0.3), (48_000, 0.0), (8_000, 0.001)])
def test_the_last_page_of_ogg_is_where_it_is(tmp_path: Path, rate: int, level: float) -> None:
    path = tmp_path / "a.ogg"
    rng = np.random.default_rng(0)
    noise = np.concatenate((0.2 * rng.standard_normal(9 * rate), level * rng.standard_normal(rate)))
    soundfile.write(path, noise, rate)
    whole = audio.read_mono(path)
    for behind in (200, 2000, 5000, 20_000):
        np.testing.assert_allclose(audio.read_mono(path, whole.size - behind), whole[-behind:], atol=1e-4)


def test_a_range_beyond_the_file_is_clamped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", _noise(100), RATE)
    assert audio.read_frames(tmp_path / "a.wav", -10, 20).shape == (20, 1)
    assert audio.read_frames(tmp_path / "a.wav", 90, 200).shape == (10, 1)
    assert audio.read_frames(tmp_path / "a.wav", 300, 400).shape == (0, 1)
    assert audio.read_frames(tmp_path / "a.wav", 50, 20).shape == (0, 1)


@settings(max_examples=60)
@given(
    st.integers(1, 3000),
    st.integers(1, 2),
    st.floats(0.0001, 0.5),
    st.sampled_from([(8000, None), (8000, 8000), (8000, 16000), (48000, 32000), (44100, 48000), (48000, 16000)]),
)
def test_blocks_joined_equal_the_whole(
    tmp_path_factory: pytest.TempPathFactory, frames: int, channels: int, block_s: float, rates: tuple[int, int | None]
) -> None:
    path = tmp_path_factory.getbasetemp() / "blocks.wav"
    rate, target_rate = rates
    soundfile.write(path, _noise(frames, channels, seed=frames), rate, subtype="FLOAT")
    blocks = list(audio.mono_blocks(path, block_s, target_rate))
    whole = audio.resample(audio.read_mono(path), rate, target_rate or rate)
    assert all(block.size for block in blocks)
    np.testing.assert_allclose(np.concatenate([*blocks, np.empty(0, np.float32)]), whole, atol=1e-6)
    assert whole.size == audio.resampled_length(frames, rate, target_rate or rate)


@pytest.mark.parametrize("rates", [(48000, 44100), (96000, 22050), (24000, 11025), (384000, 44100)])
def test_the_length_is_the_one_foretold_also_where_it_is_a_tie(tmp_path: Path, rates: tuple[int, int]) -> None:
    """Half a sample: soxr rounds some of these down."""
    rate, target_rate = rates
    step = rate // math.gcd(rate, 2 * target_rate)  # odd multiples of this are ties
    for frames in range(step, 200 * step, 2 * step):
        assert frames * target_rate % rate * 2 == rate
        resampled = audio.resample(_noise(frames, 1, seed=0)[:, 0], rate, target_rate)
        assert len(resampled) == audio.resampled_length(frames, rate, target_rate)
        assert np.abs(resampled[-2:]).max() < 1
    soundfile.write(tmp_path / "a.wav", _noise(201 * step, 1, seed=0), rate)
    blocks = audio.mono_blocks(tmp_path / "a.wav", 0.1, target_rate)
    assert sum(map(len, blocks)) == audio.resampled_length(201 * step, rate, target_rate)


def test_resampling_keeps_a_tone_and_its_place() -> None:
    t = np.arange(48000) / 48000
    tone = np.sin(2 * np.pi * 500 * t).astype(np.float32)
    resampled = audio.resample(tone, 48000, 16000)
    np.testing.assert_allclose(resampled[1000:-1000], tone[::3][1000:-1000], atol=1e-3)
    assert audio.resample(np.empty(0, np.float32), 48000, 16000).size == 0


def test_what_is_no_recording_is_named(tmp_path: Path) -> None:
    cases = {
        "empty.wav": (b"", "empty file"),
        "zeros.wav": (b"\0" * 4096, "not readable as audio"),
        "text.wav": (b"Begin time (s)\tEnd time (s)\n", "not readable as audio"),
        "half header.wav": (_wav(np.zeros(10, np.int16))[:30], "not readable as audio"),
        "text.flac": (b"hello", "not readable as audio"),
        "text.mp3": (b"hello hello hello", "Format not recognised"),
        "headerless.raw": (b"\0" * 100, "not readable as audio"),
        "no samples.wav": (_wav(np.zeros(0, np.int16)), "holds no samples"),
    }
    for name, (content, message) in cases.items():
        (tmp_path / name).write_bytes(content)
        for read in (audio.probe, audio.read_mono, lambda path: list(audio.mono_blocks(path, 1))):
            with pytest.raises(AudioError, match=message) as caught:
                read(tmp_path / name)
            assert str(tmp_path / name) in str(caught.value)
    with pytest.raises(AudioError, match="no such file"):
        audio.probe(tmp_path / "none.wav")
    with pytest.raises(AudioError, match="is a folder"):
        audio.probe(tmp_path)


@pytest.mark.parametrize("share", [0.5, 0.999])
@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "rf64", "ogg"])
def test_a_truncated_recording_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"a.{suffix}"
    subtype = "VORBIS" if suffix == "ogg" else "PCM_16"
    soundfile.write(path, _noise(20_000), RATE, format=suffix.upper(), subtype=subtype)
    audio.probe(path)
    content = path.read_bytes()
    path.write_bytes(content[: round(len(content) * share)])
    for read in (audio.read_mono, lambda path: list(audio.mono_blocks(path, 0.5))):
        with pytest.raises(AudioError, match=r"truncated|cannot be decoded|not readable"):
            read(path)


@pytest.mark.parametrize(
    ("written_as", "named"), [("WAV", "a.flac"), ("FLAC", "a.wav"), ("OGG", "a.wav"), ("WAV", "a.x")]
)
def test_a_wrong_suffix_does_not_matter(tmp_path: Path, written_as: str, named: str) -> None:
    soundfile.write(tmp_path / named, _noise(), RATE, format=written_as)
    assert audio.probe(tmp_path / named).frames == 4000
    assert audio.read_mono(tmp_path / named).size == 4000


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_is_refused_with_its_place(tmp_path: Path, bad: float) -> None:
    samples = _noise(4000, 2)
    samples[3000, 1] = bad
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"NaN or infinite sample at 0.375 s"):
        list(audio.mono_blocks(tmp_path / "a.wav", 0.1, 16000))


def test_silence_is_a_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(100), RATE)
    np.testing.assert_array_equal(audio.read_mono(tmp_path / "a.wav"), np.zeros(100))


def test_chunks_of_odd_length_before_the_samples(tmp_path: Path) -> None:
    samples = np.arange(-50, 50, dtype=np.int16)
    path = tmp_path / "a.wav"
    path.write_bytes(_wav(samples, before=_chunk(b"note", b"odd") + _chunk(b"LIST", b"INFOx")))
    np.testing.assert_array_equal(audio.read_mono(path), samples / np.float32(32768))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(AudioError, match="truncated: 10 bytes"):
        audio.probe(path)


@pytest.mark.parametrize("data_size", [0xFFFFFFFF, 0x7FFFF000])
def test_a_streamed_wav_ends_where_the_file_ends(tmp_path: Path, data_size: int) -> None:
    samples = np.arange(-50, 50, dtype=np.int16)
    (tmp_path / "a.wav").write_bytes(_wav(samples, data_size=data_size))
    assert audio.probe(tmp_path / "a.wav").frames == 100
    np.testing.assert_array_equal(np.concatenate(list(audio.mono_blocks(tmp_path / "a.wav", 0.001))), samples / 32768)


def test_a_flac_stream_that_does_not_say_its_length_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, _noise(5000, 1, seed=0), 8000)
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # the total number of samples, 36 bits of STREAMINFO: unknown
    content[22:26] = bytes(4)
    path.write_bytes(content)
    with pytest.raises(AudioError, match=r"a\.flac: does not say how long it is"):
        audio.probe(path)


def test_a_chunk_after_the_samples_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(_wav(np.ones(99, np.int16)) + _chunk(b"LIST", b"INFO"))
    assert audio.probe(tmp_path / "a.wav").frames == 99


@pytest.mark.parametrize("size", [0, 20_000])  # never written; of a file beyond 4 GiB, what is left of it in 32 bits
def test_a_wav_that_holds_more_than_its_header_says_is_refused(tmp_path: Path, size: int) -> None:
    samples = np.random.default_rng(0).integers(-999, 999, 100_000).astype(np.int16)
    (tmp_path / "a.wav").write_bytes(_wav(samples, data_size=size))
    with pytest.raises(AudioError, match=rf"says {size} bytes of audio, but {200_000 - size} more follow"):
        audio.probe(tmp_path / "a.wav")


@pytest.mark.parametrize("behind", [bytes(100_000), _chunk(b"guan", b"x" * 100_000), b"few bytes of something"])
def test_padding_and_chunks_may_follow_the_samples(tmp_path: Path, behind: bytes) -> None:
    (tmp_path / "a.wav").write_bytes(_wav(np.ones(100, np.int16)) + behind)
    assert audio.probe(tmp_path / "a.wav").frames == 100


def test_a_full_disk_is_told_from_a_broken_recording(tmp_path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match="File too large"):
        audio.write_wav(tmp_path / "a.wav", _noise(20_000), RATE, "PCM_16")


def test_what_is_written_reads_the_same(tmp_path: Path) -> None:
    audio.write_wav(tmp_path / "ü $x.y.wav", _noise(), RATE, "FLOAT")
    np.testing.assert_array_equal(audio.read_frames(tmp_path / "ü $x.y.wav"), _noise())


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_to_read_is_refused(tmp_path):
    path = tmp_path / "secret.wav"
    soundfile.write(path, np.zeros(8), 8000)
    path.chmod(0)
    with pytest.raises(AudioError, match=r"secret\.wav: cannot be read \(Permission denied\)"):
        audio.probe(path)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_files_hold_their_samples_and_no_time(tmp_path, subtype):
    samples = np.sin(np.arange(100.0))
    audio.write_wav(tmp_path / "a.wav", samples, 8000, subtype)
    content = (tmp_path / "a.wav").read_bytes()
    time_at = content.index(b"PEAK") + 12
    assert content[time_at : time_at + 4] == bytes(4)
    np.testing.assert_allclose(soundfile.read(tmp_path / "a.wav")[0], samples, atol=1e-7)
