"""Reading recordings: what a file is, parts of it, and the whole of it in blocks at any sample rate. Writing WAV."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from hum_shared.audio_sizes import lacks_ogg_end, refuse_wrong_size
from hum_shared.errors import AudioError
from hum_shared.mpeg import WithLength, misstated_length

Samples = NDArray[np.float32]

# MP3 frames borrow bits from up to a dozen frames before them: without a run-up the first ones decode to garbage.
_MP3_RUN_UP = 1 << 14
# The last page of Ogg Vorbis may end before its samples do; what is sought in it is found that much too late. It holds
# up to 255 packets, mostly of 1024 new samples.
_OGG_RUN_UP = 1 << 18
_HEADER_BYTES = 512  # of a WAV file that libsndfile writes, more than enough
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
    """Read samples `start` to `stop` of all channels; see :func:`read_exactly`.

    Returns
    -------
    ndarray of float32, shape (frames, channels)
        Full scale is ±1. Empty when the range lies outside the file.
    """
    samples: Samples = read_exactly(path, start, stop, "float32")
    return samples


def read_exactly(path: Path, start: int, stop: int | None, dtype: str) -> NDArray[Any]:
    """Read samples `start` to `stop` of all channels in a type that holds them as they are.

    Parameters
    ----------
    start, stop
        Sample positions at the file's own rate, clamped to the file; `stop` None means the end.
    dtype
        ``float32``, ``float64``, ``int16`` or ``int32``; integers hold samples of fewer bits in their upper ones.

    Returns
    -------
    ndarray of `dtype`, shape (frames, channels)
        Empty when the range lies outside the file.

    Raises
    ------
    AudioError
        When the file cannot be read or is truncated.
    """
    with _open(path) as sound:
        start = min(max(start, 0), sound.frames)
        stop = sound.frames if stop is None else min(max(stop, start), sound.frames)
        first = start
        if sound.subtype.startswith("MPEG"):
            first = max(0, start - _MP3_RUN_UP)
        elif sound.format == "OGG":
            first = min(start, max(0, sound.frames - _OGG_RUN_UP))
        sound.seek(first)
        return _read(sound, stop - first, path, dtype)[start - first :]


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
    """Write samples, shape (frames,) or (frames, channels), as WAV; not atomically. The same samples, the same bytes.

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
    peak = content.getvalue()[:_HEADER_BYTES].find(b"PEAK") if subtype in ("FLOAT", "DOUBLE") else -1
    if peak >= 0:  # a chunk of its size, a version, and the time, which no two runs would write alike
        content.getbuffer()[peak + 12 : peak + 16] = bytes(4)
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
        refuse_wrong_size(path)
        lacks_end = lacks_ogg_end(path)
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror}). Check its permissions and its disk.") from None
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
    if sound.subtype == "MPEG_LAYER_III":
        try:
            length = misstated_length(path)
        except OSError as error:
            sound.close()
            raise AudioError(f"{path}: cannot be read ({error.strerror}). Check its disk.") from None
        if length is not None:
            sound.close()
            sound = _Sound(WithLength(path, length))
    if sound.frames <= 0:
        sound.close()
        raise AudioError(f"{path}: holds no samples (zero length)")
    if sound.frames > _MOST_FRAMES:
        sound.close()
        raise AudioError(f"{path}: does not say how long it is, as a stream does not. Encode it again from a file.")
    return sound


def _read(sound: _Sound, count: int, path: Path, dtype: str = "float32") -> NDArray[Any]:
    try:
        samples: NDArray[Any] = sound.read(count, dtype=dtype, always_2d=True)
    except soundfile.LibsndfileError as error:
        raise AudioError(f"{path}: cannot be decoded ({error.error_string.strip().rstrip('.')})") from None
    if len(samples) < count:
        raise AudioError(f"{path}: truncated: {count - len(samples)} samples are missing. Copy the file again.")
    return samples
