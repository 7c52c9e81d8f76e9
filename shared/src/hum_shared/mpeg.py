"""How long an MP3 is, where its header does not say so: its frames counted, and that written in front of it.

An MP3 has no header of its own. Encoders put the number of frames into a frame that holds no sound ("Xing" or "Info");
recorders and stream encoders write none, and cutting or appending files makes it wrong. Decoders then estimate from the
first frame's bitrate: seconds too many, or a file of changing bitrate that ends after a quarter of it.

Frame headers are those of ISO/IEC 11172-3 and 13818-3, layer III; bitrate 0 ("free") is not read.
"""

from __future__ import annotations

import io
import mmap
import struct
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

_KILOBITS_1 = (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KILOBITS_2 = (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_RATES = (44100, 48000, 32000)  # of MPEG-1; half of MPEG-2, a quarter of MPEG-2.5
_NO_CRC = 0x01
_FRAMES_SAID, _BYTES_SAID = 0x01, 0x02
_Bytes = mmap.mmap | bytes
_TAGS = 4096  # bytes of titles and the like that may follow the last frame


@dataclass(frozen=True)
class Mp3Length:
    """What an MP3 file holds.

    Attributes
    ----------
    first
        Where its first frame of sound begins, in bytes.
    header
        Of that frame, 4 bytes.
    frames
        How many there are; what lies between them is no sound.
    """

    first: int
    header: bytes
    frames: int

    def stated(self) -> bytes:
        """Return a frame without sound that states the length (a "Xing" header)."""
        version, rate = self.header[1] | _NO_CRC, self.header[2] & 0x0C
        start = 4 + _side_bytes(self.header)
        said = b"Xing" + struct.pack(">II", _FRAMES_SAID, self.frames)
        for bitrate in range(1, 15):
            header = bytes((0xFF, version, bitrate << 4 | rate, self.header[3]))
            size = _frame_bytes(header[1], header[2])
            if size >= start + len(said):
                return header + bytes(start - 4) + said + bytes(size - start - len(said))
        raise AssertionError("no frame holds 12 bytes")


class WithLength(io.RawIOBase):
    """An MP3 file from its first frame of sound on, behind a frame that states its length; read only."""

    def __init__(self, path: Path, length: Mp3Length) -> None:
        self._front, self._skipped = length.stated(), length.first
        self._file = path.open("rb")
        self._size = len(self._front) + path.stat().st_size - length.first
        self._at = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a byte; see :meth:`io.IOBase.seek`."""
        self._at = max(0, offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence])
        return self._at

    def tell(self) -> int:
        """Return the byte that is read next."""
        return self._at

    def readinto(self, buffer: bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Fill a buffer as far as the file goes; return how far."""
        view = memoryview(buffer).cast("B")
        content = self._front[self._at : self._at + len(view)]
        if len(content) < len(view):
            self._file.seek(self._skipped + max(0, self._at - len(self._front)))
            content += self._file.read(len(view) - len(content))
        view[: len(content)] = content
        self._at += len(content)
        return len(content)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def misstated_length(path: Path) -> Mp3Length | None:
    """Return what an MP3 file holds where it does not say so, or holds more than it says; None where it says.

    Of a file that holds less the decoder tells. None as well where it is no layer III or holds less than a frame.
    """
    stat = path.stat()
    return _misstated(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1 << 14)
def _misstated(path: Path, size: int, _modified_ns: int) -> Mp3Length | None:
    with path.open("rb") as file:
        try:
            data: _Bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError:  # not every file system maps files
            data = file.read()
    first = _next_frame(data, _behind_id3(data))
    if first is None:
        return None
    said = _said(data, first)
    if said is None:
        return _counted(data, first)
    frames, n_bytes = said
    if frames is not None and (n_bytes is None or first + n_bytes + _TAGS >= size):
        return None
    found = _counted(data, first + _frame_bytes(data[first + 1], data[first + 2]))
    return found if found is not None and (frames is None or found.frames > frames + 1) else None


def _counted(data: _Bytes, start: int) -> Mp3Length | None:
    first = at = _next_frame(data, start)
    frames = 0
    while at is not None:
        size = _frame_bytes(data[at + 1], data[at + 2]) if at + 4 <= len(data) and data[at] == 0xFF else 0
        if size and first is not None and not _is_alike(data, first, at):
            break  # another recording, of another rate: decoders end here
        if size == 0:  # titles, or the front of another file
            at = _next_frame(data, at)
        elif at + size > len(data):
            break  # cut off within its last frame
        else:
            frames, at = frames + 1, at + size
    return None if first is None or frames == 0 else Mp3Length(first, data[first : first + 4], frames)


def _next_frame(data: _Bytes, at: int) -> int | None:
    """Return where the next frame begins: two headers in a row, or one that ends with the file."""
    while (at := data.find(b"\xff", at)) >= 0 and at + 4 <= len(data):
        size = _frame_bytes(data[at + 1], data[at + 2])
        behind = at + size
        if size and (behind == len(data) or (behind + 4 <= len(data) and _follows(data, at, behind))):
            return at
        at += 1
    return None


def _follows(data: _Bytes, at: int, behind: int) -> bool:
    """Whether a frame of the same kind begins at `behind`, or titles do."""
    if data[behind : behind + 3] in (b"TAG", b"ID3", b"APE"):
        return True
    return data[behind] == 0xFF and _is_alike(data, at, behind) and _frame_bytes(data[behind + 1], data[behind + 2]) > 0


def _is_alike(data: _Bytes, one: int, other: int) -> bool:
    """Whether two frames are of one version, rate and number of channels."""
    version = data[one + 1] | _NO_CRC == data[other + 1] | _NO_CRC
    rate = (data[one + 2] ^ data[other + 2]) & 0x0C == 0
    return version and rate and (data[one + 3] >> 6 == 3) == (data[other + 3] >> 6 == 3)


def _behind_id3(data: _Bytes) -> int:
    """Return where the titles end that an MP3 may begin with (ID3v2)."""
    at = 0
    while data[at : at + 3] == b"ID3" and len(data) >= at + 10:
        a, b, c, d = data[at + 6 : at + 10]
        at += 10 + (a << 21 | b << 14 | c << 7 | d) + (10 if data[at + 5] & 0x10 else 0)
    return at


def _said(data: _Bytes, first: int) -> tuple[int | None, int | None] | None:
    """Return how many frames and bytes a first frame says that there are; None where it is one of sound."""
    at = first + 4 + _side_bytes(data[first : first + 4])
    if data[at : at + 4] not in (b"Xing", b"Info") or len(data) < at + 16:
        return None
    flags, one, other = struct.unpack(">III", data[at + 4 : at + 16])
    frames = one if flags & _FRAMES_SAID else None
    if not flags & _BYTES_SAID:
        return frames, None
    return frames, one if frames is None else other


def _side_bytes(header: bytes) -> int:
    """Return the size of a frame's side information."""
    mono = header[3] >> 6 == 3
    if header[1] >> 3 & 3 == 3:
        return 17 if mono else 32
    return 9 if mono else 17


@cache
def _frame_bytes(second: int, third: int) -> int:
    """Return the size of a frame from the second and third byte of its header; 0 where that is none of layer III."""
    version, layer, kilobits, rate = second >> 3 & 3, second >> 1 & 3, third >> 4, third >> 2 & 3
    if second & 0xE0 != 0xE0 or version == 1 or layer != 1 or kilobits in (0, 15) or rate == 3:
        return 0
    if version == 3:
        return 144_000 * _KILOBITS_1[kilobits] // _RATES[rate] + (third >> 1 & 1)
    return 72_000 * _KILOBITS_2[kilobits] // (_RATES[rate] // (2 if version == 2 else 4)) + (third >> 1 & 1)
