"""The header of an image file: format, size and orientation; and whether the file can be complete."""

import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

from melanoma.common.dicom import is_dicom
from melanoma.common.errors import InputError
from melanoma.images.dicom import image_in_dicom
from melanoma.images.formats import foreign_format

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
END_OF_JPEG, START_OF_SCAN = b"\xff\xd9", b"\xff\xda"
# A marker may have more bytes FF before it. A search for those, too, would take quadratic time in a file of FF bytes.
MARKER = re.compile(rb"\xff[^\x00\xff]")
FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE_MARKERS = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
LONE_MARKERS = frozenset({0x01, *range(0xD0, 0xD8)})
SCAN_MARKER, END_MARKER, EXIF_MARKER = 0xDA, 0xD9, 0xE1
EXIF = b"Exif\0\0"
# Tags of a TIFF directory, and the types of their values with the codes of `struct`.
SUBFILE, WIDTH, HEIGHT, ORIENTATION = 0x00FE, 0x0100, 0x0101, 0x0112
NUMBERS = {3: "H", 4: "I"}
REDUCED = 1
# A progressive JPEG has about 10 scans; each costs a pass over the image, so a small file could cost hours.
MAX_SCANS = 500
MAX_USUAL_SCANS = 40
MAX_SCANNED_PIXELS = 2_500_000_000  # pixels times scans, about a minute


class Unreadable(Exception):
    """A file is not a complete image; the message says why."""


@dataclass(frozen=True)
class Header:
    """Format ('jpeg', 'png', 'webp', 'tiff', 'bmp' or 'dicom'), size in pixels as decoded, and orientation.

    orientation: from 1 (upright) to 8, as in EXIF; inside: the image file in a DICOM file, and its header.
    """

    format: str
    width: int
    height: int
    orientation: int
    inside: tuple[bytes, "Header"] | None = None


def read_header(data: bytes) -> Header:
    """Read the header of a JPEG, PNG, WebP, TIFF, BMP or DICOM file, which is recognized by its content.

    Raises Unreadable if `data` is empty or has another format, which the message names; or if it ends before the image
    does; for a PNG also if a checksum does not match.
    """
    if not data:
        raise Unreadable("empty file")
    if is_dicom(data):
        return _read_dicom(data)
    read = next((read for signature, read in READERS.items() if data.startswith(signature)), None)
    if read is None or (read is _read_webp and data[8:12] != b"WEBP"):
        raise Unreadable(foreign_format(data))
    try:
        header = read(data)
    except struct.error as error:
        raise Unreadable("truncated: it ends inside its header") from error
    if 0 in (header.width, header.height):
        raise Unreadable("cannot be decoded: its header gives no width and height")
    return header


def _read_dicom(data: bytes) -> Header:
    try:
        image = image_in_dicom(data)
    except InputError as error:
        raise Unreadable(str(error)) from error
    header = read_header(image)
    return replace(header, format="dicom", inside=(image, header))


def _read_jpeg(data: bytes) -> Header:
    position, width, height, orientation, progressive, components = 2, 0, 0, 1, False, 0
    while match := MARKER.search(data, position):
        position = match.end()
        marker = data[position - 1]
        if marker in LONE_MARKERS:
            continue
        if marker == END_MARKER:
            raise Unreadable("cannot be decoded: a JPEG without an image")
        (length,) = struct.unpack_from(">H", data, position)
        if marker in FRAME_MARKERS:
            height, width, components = struct.unpack_from(">HHB", data, position + 3)
            progressive = marker in PROGRESSIVE_MARKERS
        elif marker == EXIF_MARKER and data.startswith(EXIF, position + 2):
            orientation = _orientation(data[position + 2 + len(EXIF) : position + length])
        elif marker == SCAN_MARKER:
            several = progressive or data[position + 2 : position + 3] < bytes([components])
            position += length
            break
        position += length
    else:
        raise Unreadable("truncated: it ends inside its header")
    # Search after the header: a thumbnail in the header has an end-of-image marker, too.
    if width and height and data.rfind(END_OF_JPEG, position) < 0:
        raise Unreadable("truncated: no end-of-image marker")
    scans = 1 + data.count(START_OF_SCAN, position) if several else 1
    if scans > MAX_SCANS:
        raise Unreadable(f"a JPEG of more than {MAX_SCANS} scans, which would take hours to decode")
    if scans > MAX_USUAL_SCANS and scans * width * height > MAX_SCANNED_PIXELS:
        raise Unreadable(f"a JPEG of {scans} scans of {width} x {height} pixels, which would take minutes to decode")
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
        if kind == b"IHDR" and width:
            raise Unreadable("damaged: it has two headers (IHDR)")
        if kind == b"IHDR" and length == 13:
            width, height = struct.unpack_from(">II", body, 4)
        elif kind == b"eXIf":
            orientation = _orientation(bytes(body[4:]))
        position = end + 4
    return Header("png", width, height, orientation)


def _read_webp(data: bytes) -> Header:
    """Read the first image of a file: chunk VP8 (lossy) or VP8L (lossless), or the canvas of both, VP8X."""
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise Unreadable("truncated: no end-of-image marker")
    kind, orientation = data[12:16], 1
    if kind == b"VP8X":
        width, height = (1 + int.from_bytes(data[place : place + 3], "little") for place in (24, 27))
        position = 12
        while position + 8 < len(data):
            name, length = struct.unpack_from("<4sI", data, position)
            if name == b"EXIF":
                orientation = _orientation(data[position + 8 : position + 8 + length].removeprefix(EXIF))
            position += 8 + length + length % 2
    elif kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", data, 26))
    return Header("webp", width, height, orientation)


def _read_tiff(data: bytes) -> Header:
    """Read the first directory. The decoder turns a TIFF upright, so the size is the one after that."""
    tags = _tags(data)
    width, height = tags.get(WIDTH, 0), tags.get(HEIGHT, 0)
    if tags.get(SUBFILE, 0) & REDUCED:
        raise Unreadable("its first image is a preview, as in a raw file of a camera; convert it to JPEG, PNG or TIFF")
    return Header("tiff", height, width, 1) if _upright(tags) >= 5 else Header("tiff", width, height, 1)


def _read_bmp(data: bytes) -> Header:
    (size,) = struct.unpack_from("<I", data, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", data, 18)
    return Header("bmp", abs(width), abs(height), 1)


def _orientation(tiff: bytes) -> int:
    """Return the orientation in an EXIF block; 1 if it has no valid one."""
    return _upright(_tags(tiff))


def _upright(tags: dict[int, int]) -> int:
    return tags[ORIENTATION] if 1 <= tags.get(ORIENTATION, 0) <= 8 else 1


def _tags(tiff: bytes) -> dict[int, int]:
    """Return the numbers in the first directory of a TIFF file or EXIF block, by their tags; the first of several."""
    order = {b"II": "<", b"MM": ">"}.get(tiff[:2])
    tags: dict[int, int] = {}
    if order is None:
        return tags
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, at)
            if kind in NUMBERS:
                tags.setdefault(tag, struct.unpack_from(order + NUMBERS[kind], tiff, at + 8)[0])
    except struct.error:
        pass
    return tags


READERS: dict[bytes, Callable[[bytes], Header]] = {
    JPEG: _read_jpeg,
    PNG: _read_png,
    b"RIFF": _read_webp,
    b"II*\0": _read_tiff,
    b"MM\0*": _read_tiff,
    b"BM": _read_bmp,
}
