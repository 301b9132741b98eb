"""The header of an image file: format, size and orientation; and whether the file can be complete."""

import re
import struct
import zlib
from dataclasses import dataclass

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
END_OF_JPEG, START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
MARKER = re.compile(rb"\xff+[^\x00\xff]")
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE_MARKERS = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
LONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})
SCAN_MARKER, END_MARKER, EXIF_MARKER = 0xDA, 0xD9, 0xE1
EXIF = b"Exif\0\0"
ORIENTATION, SHORT = 0x0112, 3
# A progressive JPEG has about 10 scans; each costs a pass over the image, so a small file could cost hours.
MAX_SCANS = 500


class Unreadable(Exception):
    """A file is not a complete image; the message says why."""


@dataclass(frozen=True)
class Header:
    """Format ('jpeg' or 'png'), size in pixels as stored, and EXIF orientation from 1 (as stored) to 8."""

    format: str
    width: int
    height: int
    orientation: int


def read_header(data: bytes) -> Header:
    """Read the header of a JPEG or PNG.

    Raises Unreadable if `data` is empty, has another format, or ends before the image does; for a PNG also if a
    checksum does not match.
    """
    if not data:
        raise Unreadable("empty file")
    if data.startswith(JPEG):
        return _read_jpeg(data)
    if data.startswith(PNG):
        return _read_png(data)
    raise Unreadable(f"not a JPEG or PNG (starts with {data[:8]!r})")


def _read_jpeg(data: bytes) -> Header:
    position, width, height, orientation, progressive = 2, 0, 0, 1, False
    try:
        while match := MARKER.search(data, position):
            position = match.end()
            marker = data[position - 1]
            if marker in LONE_MARKERS:
                continue
            if marker == END_MARKER:
                raise Unreadable("cannot be decoded: a JPEG without an image")
            (length,) = struct.unpack_from(">H", data, position)
            if marker in FRAME_MARKERS:
                height, width = struct.unpack_from(">HH", data, position + 3)
                progressive = marker in PROGRESSIVE_MARKERS
            elif marker == EXIF_MARKER and data.startswith(EXIF, position + 2):
                orientation = _orientation(data[position + 2 + len(EXIF) : position + length])
            position += length
            if marker == SCAN_MARKER:
                break
        else:
            raise Unreadable("truncated: it ends inside its header")
    except struct.error as error:
        raise Unreadable("truncated: it ends inside its header") from error
    if 0 in (width, height):
        raise Unreadable("cannot be decoded: its header gives no width and height")
    # Search after the header: a thumbnail in the header has an end-of-image marker, too.
    if data.rfind(END_OF_JPEG, position) < 0:
        raise Unreadable("truncated: no end-of-image marker")
    if progressive and data.count(START_OF_SCAN, position) > MAX_SCANS:
        raise Unreadable(f"a JPEG of more than {MAX_SCANS} scans, which would take hours to decode")
    return Header("jpeg", width, height, orientation)


def _read_png(data: bytes) -> Header:
    """Check the CRC-32 of every chunk: decoders only warn if one does not match."""
    position, width, height, orientation, kind = len(PNG), 0, 0, 1, b""
    while kind != b"IEND":
        if position + 12 > len(data):
            raise Unreadable("truncated: no end-of-image marker" if width else "truncated: it ends inside its header")
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        body = memoryview(data)[position + 4 : end]
        if end + 4 > len(data):
            raise Unreadable("truncated: no end-of-image marker")
        if zlib.crc32(body) != struct.unpack_from(">I", data, end)[0]:
            raise Unreadable(f"damaged: the checksum of its chunk {kind.decode('latin-1')} does not match")
        if kind == b"IHDR" and length == 13:
            width, height = struct.unpack_from(">II", body, 4)
        elif kind == b"eXIf":
            orientation = _orientation(bytes(body[4:]))
        position = end + 4
    if 0 in (width, height):
        raise Unreadable("cannot be decoded: its header gives no width and height")
    return Header("png", width, height, orientation)


def _orientation(tiff: bytes) -> int:
    """Return the orientation in an EXIF block; 1 if it has no valid one."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, start)
        for entry in range(entries):
            tag, kind, _, value = struct.unpack_from(order + "HHIH", tiff, start + 2 + 12 * entry)
            if tag == ORIENTATION and kind == SHORT and 1 <= value <= 8:
                return int(value)
    except struct.error:
        pass
    return 1
