"""Reading recordings: what a file is, parts of it, and the whole of it in blocks at any sample rate. Writing WAV."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from hum_shared.errors import AudioError
from hum_shared.mpeg import WithLength, misstated_length

Samples = NDArray[np.float32]

# MP3 frames borrow bits from up to a dozen frames before them: without a run-up the first ones decode to garbage.
_MP3_RUN_UP = 1 << 14
_OGG_PAGE_BYTES = 27 + 255 + 255 * 255  # at most: header, segment table, segments
_UNKNOWN_SIZES = (0xFFFFFFFF, 0x7FFFF000, 0x7FFFFFFF)  # what programs write that stream to a pipe
_MOST_FRAMES = 1 << 48  # libsndfile gives 2^63 − 1 for a FLAC stream of unknown length


@dataclass(frozen=True)
class AudioInfo:
    """What a sound file is.

    Attributes
    ----------
    frames
        Length in samples per channel; at least 1.
    sample_rate
        Hz.
    channels
        How many.
    subtype
        Sample format as libsndfile names it, for example ``PCM_16``.
    """

    frames: int
    sample_rate: int
    channels: int
    subtype: str

    @property
    def dur_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


def probe(path: Path) -> AudioInfo:
    """Read a file's header and check that the file is as long as it says.

    Raises
    ------
    AudioError
        When the file is missing, empty, not audio, holds no samples or is truncated.
    """
    with _open(path) as sound:
        return AudioInfo(sound.frames, sound.samplerate, sound.channels, sound.subtype)


def read_frames(path: Path, start: int = 0, stop: int | None = None) -> Samples:
    """Read samples `start` to `stop` of all channels.

    Parameters
    ----------
    start, stop
        Sample positions at the file's own rate, clamped to the file; `stop` None means the end.

    Returns
    -------
    ndarray of float32, shape (frames, channels)
        Full scale is ±1. Empty when the range lies outside the file.

    Raises
    ------
    AudioError
        When the file cannot be read or is truncated.
    """
    with _open(path) as sound:
        start = min(max(start, 0), sound.frames)
        stop = sound.frames if stop is None else min(max(stop, start), sound.frames)
        first = max(0, start - _MP3_RUN_UP) if sound.subtype.startswith("MPEG") else start
        sound.seek(first)
        return _read(sound, stop - first, path)[start - first :]


def read_mono(path: Path, start: int = 0, stop: int | None = None) -> Samples:
    """Read samples `start` to `stop`, channels averaged; see :func:`read_frames`.

    Returns
    -------
    ndarray of float32, shape (frames,)
    """
    return average_channels(read_frames(path, start, stop))


def average_channels(samples: Samples) -> Samples:
    """Return the mean over channels of an array of shape (frames, channels); one channel is not copied."""
    return samples[:, 0] if samples.shape[1] == 1 else samples.mean(axis=1, dtype=np.float32)


def resample(samples: Samples, rate: int, target_rate: int) -> Samples:
    """Resample mono samples band-limited (soxr, very high quality); equal rates return the input.

    The result has ``round(n · target_rate / rate)`` samples, and equals that of :func:`mono_blocks`.
    """
    if rate == target_rate or samples.size == 0:
        return samples
    return _Resampler(rate, target_rate).chunk(samples, last=True)


class _Resampler:
    """soxr chunk by chunk, with the length that :func:`resampled_length` says.

    Where that is a tie, half a sample, soxr may end one sample before it.
    """

    def __init__(self, rate: int, target_rate: int) -> None:
        self._rates = rate, target_rate
        self._stream = soxr.ResampleStream(rate, target_rate, 1, dtype="float32", quality="VHQ")
        self._given = self._made = 0

    def chunk(self, samples: Samples, *, last: bool) -> Samples:
        """Return what has become ready; all that is left with the last chunk."""
        made = np.asarray(self._stream.resample_chunk(np.ascontiguousarray(samples), last=last), dtype=np.float32)
        self._given += len(samples)
        if last:
            length = resampled_length(self._given, *self._rates) - self._made
            made = np.concatenate((made[:length], np.zeros(max(0, length - len(made)), dtype=np.float32)))
        self._made += len(made)
        return made


def resampled_length(frames: int, rate: int, target_rate: int) -> int:
    """Return how many samples :func:`resample` and :func:`mono_blocks` give for `frames`."""
    return frames if rate == target_rate else int(frames * target_rate / rate + 0.5)


def mono_blocks(path: Path, block_s: float, target_rate: int | None = None) -> Iterator[Samples]:
    """Yield a recording block by block, channels averaged, resampled when `target_rate` differs.

    Memory depends on the block, not on the recording. Joined, the blocks equal the whole file resampled.

    Parameters
    ----------
    block_s
        Seconds of the file per block.
    target_rate
        Hz; None keeps the file's own.

    Yields
    ------
    ndarray of float32, shape (n,)
        Never empty; lengths differ when resampling.

    Raises
    ------
    AudioError
        When the file cannot be read, is truncated, or holds NaN or infinite samples (says where).
    """
    with _open(path) as sound:
        rate = sound.samplerate
        stream = None
        if target_rate is not None and target_rate != rate:
            stream = _Resampler(rate, target_rate)
        block = max(1, round(block_s * rate))
        position = 0
        while position < sound.frames:
            count = min(block, sound.frames - position)
            samples = average_channels(_read(sound, count, path))
            finite = np.isfinite(samples)
            if not finite.all():
                at_s = (position + int(np.argmin(finite))) / rate
                raise AudioError(f"{path}: NaN or infinite sample at {at_s:.3f} s")
            position += count
            if stream is not None:
                samples = stream.chunk(samples, last=position == sound.frames)
            if samples.size:
                yield samples


def write_wav(path: Path, samples: NDArray[Any], sample_rate: int, subtype: str) -> None:
    """Write samples, shape (frames,) or (frames, channels), as WAV; not atomically.

    Parameters
    ----------
    subtype
        Sample format as libsndfile names it, for example ``PCM_16``.

    Raises
    ------
    OSError
        When the file cannot be written. (libsndfile, writing itself, would only say "System error".)
    """
    content = io.BytesIO()
    soundfile.write(content, samples, sample_rate, subtype=subtype, format="WAV")
    try:
        path.write_bytes(content.getbuffer())
    except OSError as error:
        error.filename = str(path)  # a full disk names no file
        raise


class _Sound(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that is read onward: soundfile seeks after every read, which garbles MP3 from there on."""

    def __init__(self, file: Path | WithLength) -> None:
        self._behind = file if isinstance(file, WithLength) else None
        super().__init__(file)

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        super().close()
        if self._behind is not None:
            self._behind.close()


def _open(path: Path) -> _Sound:
    if not path.exists():
        raise AudioError(f"{path}: no such file")
    if path.is_dir():
        raise AudioError(f"{path}: is a folder, a recording is expected")
    if path.stat().st_size == 0:
        raise AudioError(f"{path}: empty file (0 bytes)")
    try:
        missing, lacks_end = _missing_bytes(path), _lacks_ogg_end(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror}). Check its permissions and its disk.") from None
    if missing > 0:
        raise AudioError(f"{path}: truncated: {missing} bytes of audio are missing. Copy the file again.")
    if lacks_end:
        raise AudioError(f"{path}: truncated: its end is missing. Copy the file again.")
    try:
        sound = _Sound(path)
    except soundfile.LibsndfileError as error:
        said = error.error_string.strip().rstrip(".")
        if "does not exist" in said:  # how libsndfile says that MP3 holds no frame
            said = "Format not recognised"
        raise AudioError(f"{path}: not readable as audio ({said})") from None
    except TypeError:  # how soundfile says that a name ends in .raw
        raise AudioError(f"{path}: not readable as audio (raw samples without a header). Convert it to WAV.") from None
    if sound.subtype == "MPEG_LAYER_III" and (length := misstated_length(path)) is not None:
        sound.close()
        sound = _Sound(WithLength(path, length))
    if sound.frames <= 0:
        sound.close()
        raise AudioError(f"{path}: holds no samples (zero length)")
    if sound.frames > _MOST_FRAMES:
        sound.close()
        raise AudioError(f"{path}: does not say how long it is, as a stream does not. Encode it again from a file.")
    return sound


def _read(sound: _Sound, count: int, path: Path) -> Samples:
    try:
        samples: Samples = sound.read(count, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: cannot be decoded ({error.error_string.strip().rstrip('.')})") from None
    if len(samples) < count:
        raise AudioError(f"{path}: truncated: {count - len(samples)} samples are missing. Copy the file again.")
    return samples


def _missing_bytes(path: Path) -> int:
    """Return how many bytes of sample data a WAV or AIFF header promises beyond the file's end.

    libsndfile silently shortens such files; compressed formats are caught while decoding.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
            return _missing_in_chunks(file, b"data", "<I", path.stat().st_size)
        if head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
            return _missing_in_chunks(file, b"SSND", ">I", path.stat().st_size)
    return 0


def _missing_in_chunks(file: BinaryIO, wanted: bytes, size_format: str, file_bytes: int) -> int:
    long_size = None
    while len(header := file.read(8)) == 8:
        size = struct.unpack(size_format, header[4:])[0]
        start = file.tell()
        if header[:4] == wanted:
            if size in _UNKNOWN_SIZES:
                size = long_size
            return 0 if size is None else int(start + size - file_bytes)
        if header[:4] == b"ds64" and len(sizes := file.read(16)) == 16:  # WAV beyond 4 GiB
            long_size = struct.unpack("<8xQ", sizes)[0]
        file.seek(start + size + size % 2)
    return 0


def _lacks_ogg_end(path: Path) -> bool:
    """Whether a file is Ogg and its last page is cut or not marked as the stream's end (RFC 3533).

    libsndfile reads such a file as a shorter one.
    """
    with path.open("rb") as file:
        if file.read(4) != b"OggS":
            return False
        file.seek(max(0, path.stat().st_size - _OGG_PAGE_BYTES))
        tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < 27 or len(page) < 27 + page[26] + sum(page[27 : 27 + page[26]]):
        return True
    return not page[5] & 0x04
