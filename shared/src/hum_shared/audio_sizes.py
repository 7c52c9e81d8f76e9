"""What sound files say of their own size, checked against their bytes: decoders give less without a word."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from hum_shared.errors import AudioError

_PADDING = 1 << 16  # bytes that may follow sample data without being a chunk
_UNKNOWN_SIZES = (0xFFFFFFFF, 0x80000000, 0x7FFFF000, 0x7FFFFFFF)  # what programs write that stream to a pipe
_OGG_PAGE_BYTES = 27 + 255 + 255 * 255  # at most: header, segment table, segments


def refuse_wrong_size(path: Path) -> None:
    """Check the size of sample data that a WAV or AIFF header states against the file.

    libsndfile silently shortens a file that was cut off, and one whose size did not fit into 32 bits or was never
    written; compressed formats are caught while decoding.
    """
    with path.open("rb") as file:
        head, file_bytes = file.read(12), path.stat().st_size
        if head[:4] in (b"RIFF", b"RF64", b"BW64") and head[8:] == b"WAVE":
            data = _data_chunk(file, b"data", "<I")
        elif head[:4] == b"FORM" and head[8:] in (b"AIFF", b"AIFC"):
            data = _data_chunk(file, b"SSND", ">I")
        else:
            return
        if data is None:
            return
        start, size = data
        if (missing := start + size - file_bytes) > 0:
            raise AudioError(f"{path}: truncated: {missing} bytes of audio are missing. Copy the file again.")
        file.seek(start + size)
        behind, more = file.read(_PADDING), file_bytes - start - size
    # Chunks begin on even bytes, but not all programs see to that.
    if more > _PADDING and any(behind) and not (_is_name(behind[:4]) or _is_name(behind[1:5])):
        raise AudioError(
            f"{path}: its header says {size} bytes of audio, but {more} more follow. If they are audio, repair it "
            "(sox --ignore-length); if not, cut them off."
        )


def _is_name(content: bytes) -> bool:
    """Whether these four bytes may be the name of a chunk."""
    return all(0x20 <= one < 0x7F for one in content)


def _data_chunk(file: BinaryIO, wanted: bytes, size_format: str) -> tuple[int, int] | None:
    """Return where a file's sample data begin and their size in bytes; None where it does not say."""
    long_size = None
    while len(header := file.read(8)) == 8:
        size = struct.unpack(size_format, header[4:])[0]
        start = file.tell()
        if header[:4] == wanted:
            if size in _UNKNOWN_SIZES:
                size = long_size
            return None if size is None else (start, int(size))
        if header[:4] == b"ds64" and len(sizes := file.read(16)) == 16:  # WAV beyond 4 GiB
            long_size = struct.unpack("<8xQ", sizes)[0]
        file.seek(start + size + size % 2)
    return None


def lacks_ogg_end(path: Path) -> bool:
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
