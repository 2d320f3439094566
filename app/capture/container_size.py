"""How long a media file says it is. The demuxers read a file that was cut off like one that has ended."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

ISO_BOXES = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"free", b"skip", b"wide", b"sidx", b"mfra", b"uuid"}
)
EBML = b"\x1a\x45\xdf\xa3"
SEGMENT = b"\x18\x53\x80\x67"


def missing_bytes(path: Path) -> int:
    """Bytes by which the file is shorter than its container declares; 0 for a whole file and when nothing is declared.

    Reads only the headers of the outermost elements: boxes of MP4 and MOV (ISO/IEC 14496-12, 4.2), the segment of
    Matroska and WebM (RFC 8794, 6), chunks of AVI (RIFF). MPEG streams, Ogg, and recordings to a pipe declare nothing.
    """
    size = os.path.getsize(path)
    with path.open("rb") as file:
        head = file.read(8)
        file.seek(0)
        if head[4:8] in ISO_BOXES:
            return max(0, _iso_end(file, size) - size)
        if head[:4] == EBML:
            return max(0, _matroska_end(file) - size)
        if head[:4] == b"RIFF":
            return max(0, _riff_end(file, size) - size)
    return 0


def _iso_end(file: BinaryIO, size: int) -> int:
    end = 0
    while end < size:
        file.seek(end)
        header = file.read(16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        # A length of 0 means "up to the end of the file"; cameras also leave notes of their own behind the last box.
        if length < 8 or (header[4:8] not in ISO_BOXES and end + length > size):
            return size
        end += length
    return end


def _matroska_end(file: BinaryIO) -> int:
    for _ in range(2):
        identifier = file.read(4)
        first = file.read(1)
        if not first or not first[0]:
            return 0
        width = 9 - first[0].bit_length()
        value_bits = 7 * width
        value = int.from_bytes(first + file.read(width - 1), "big") & ((1 << value_bits) - 1)
        if value == (1 << value_bits) - 1:  # unknown, as in a recording that was streamed
            return 0
        if identifier == SEGMENT:
            return file.tell() + value
        file.seek(value, os.SEEK_CUR)
    return 0


def _riff_end(file: BinaryIO, size: int) -> int:
    end = 0
    while end < size:
        file.seek(end)
        header = file.read(8)
        length = int.from_bytes(header[4:8], "little")
        if header[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):  # never filled in, or something behind the last chunk
            return end
        end += 8 + length
        end += length % 2 if end < size else 0
    return end
