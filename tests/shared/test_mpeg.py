"""MP3 files whose headers do not say how long they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from hum_shared.audio import mono_blocks, probe, read_frames
from hum_shared.mpeg import misstated_length

SECONDS = 12.0
TITLES = b"ID3\x03\x00\x00\x00\x00\x10\x00" + bytes(2048)
TAG = b"TAG" + b" " * 125


def encoded(path: Path, *, rate: int = 44100, channels: int = 1, mode: str = "VARIABLE") -> tuple[bytes, bytes]:
    """Write an MP3, loud at first and then quiet; return its first frame, which says its length, and the others."""
    rng = np.random.default_rng(0)
    n = round(SECONDS * rate)
    level = np.where(np.arange(n) < n / 6, 0.2, 0.002)[:, None]
    soundfile.write(path, level * rng.standard_normal((n, channels)), rate, bitrate_mode=mode, compression_level=0.6)
    content = path.read_bytes()
    header = content[:4]
    at = next(
        at for at in range(100, 3000) if content[at : at + 2] == header[:2] and (content[at + 2] ^ header[2]) & 12 == 0
    )
    assert b"Xing" in content[:at] or b"Info" in content[:at]
    return content[:at], content[at:]


def whole(path: Path) -> np.ndarray:
    return np.concatenate(list(mono_blocks(path, 1.7)))


@pytest.mark.parametrize("mode", ["CONSTANT", "VARIABLE"])
@pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (48000, 2), (22050, 1), (16000, 2), (8000, 1)])
def test_a_file_that_does_not_say_its_length_is_read_to_its_end(
    tmp_path: Path, rate: int, channels: int, mode: str
) -> None:
    path = tmp_path / "a.mp3"
    _, frames = encoded(path, rate=rate, channels=channels, mode=mode)
    said = whole(path)
    path.write_bytes(TITLES + frames + TAG)
    samples = whole(path)
    assert len(samples) == probe(path).frames
    # A length with the encoder's delay in it lets the decoder drop that; a count of frames does not.
    late = int(np.argmax(np.correlate(samples[:20000], said[2000:6000], "valid"))) - 2000
    assert 0 <= late <= 1152 + 529 + 576
    n = min(len(said), len(samples) - late)
    assert n >= len(said) - 1
    np.testing.assert_allclose(samples[late : late + n], said[:n], atol=2e-3)


def test_parts_are_those_of_the_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    _, frames = encoded(path)
    path.write_bytes(frames)
    samples = whole(path)
    for start in (0, 1, 5000, 200_000, len(samples) - 3000):
        np.testing.assert_allclose(
            read_frames(path, start, start + 2000)[:, 0], samples[start : start + 2000], atol=1e-4
        )


def test_what_was_appended_to_a_file_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    first, frames = encoded(path)
    before = probe(path).frames
    path.write_bytes(first + frames + TAG + first + frames)
    assert probe(path).frames >= 2 * before
    assert len(whole(path)) == probe(path).frames


def test_a_file_that_was_cut_off_ends_with_its_last_whole_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    _, frames = encoded(path, mode="CONSTANT")
    path.write_bytes(frames[: len(frames) // 2 + 7])
    assert probe(path).dur_s == pytest.approx(SECONDS / 2, abs=0.1)
    assert len(whole(path)) == probe(path).frames


def test_a_file_that_says_its_length_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    first, frames = encoded(path)
    assert misstated_length(path) is None
    path.write_bytes(TITLES + first + frames + TAG)
    assert misstated_length(path) is None
    assert probe(path).frames == round(SECONDS * 44100)


def test_a_file_that_says_its_frames_alone_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    first, frames = encoded(path)
    samples = whole(path)
    at = max(first.find(b"Xing"), first.find(b"Info"))
    # Without the number of bytes, what follows moves up by four.
    path.write_bytes(first[: at + 7] + b"\x01" + first[at + 8 : at + 12] + bytes(len(first) - at - 12) + frames)
    assert misstated_length(path) is None
    assert len(whole(path)) == pytest.approx(len(samples), abs=2 * 1152)


def test_another_recording_of_another_rate_behind_it_is_not_counted(tmp_path: Path) -> None:
    path, other = tmp_path / "a.mp3", tmp_path / "b.mp3"
    first, frames = encoded(path)
    samples = whole(path)
    encoded(other, rate=22050)
    path.write_bytes(first + frames + other.read_bytes())
    assert len(whole(path)) == len(samples)


@pytest.mark.parametrize("fails", [True, False])
def test_where_files_cannot_be_mapped_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    path = tmp_path / "a.mp3"
    _, frames = encoded(path)
    path.write_bytes(frames)
    if fails:
        monkeypatch.setattr("hum_shared.mpeg.mmap.mmap", lambda *_args, **_more: (_ for _ in ()).throw(OSError()))
    found = misstated_length(path)
    assert found is not None
    assert 0 <= found.frames * 1152 - probe(path).frames < 1152


@pytest.mark.parametrize(
    "content", [b"\xff", b"\xff\xfb", b"\xff\xfb\x90\x00", b"ID3\x03", bytes(3000), b"\xff" * 3000]
)
def test_what_is_no_mp3_has_no_length(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp3"
    path.write_bytes(content)
    assert misstated_length(path) is None
