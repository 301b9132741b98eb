"""Writes small DICOM files, explicit little-endian, without a package."""

import struct

import numpy as np

UNCOMPRESSED, JPEG_BASELINE, JPEG_2000 = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90"
LONG = (b"OB", b"OW")


def element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
    """Return an element of a data set; a value of odd length is padded."""
    value += (b"\0" if kind in (b"UI", b"OB") else b" ") * (len(value) % 2)
    head = struct.pack("<HH", group, number) + kind
    return head + (struct.pack("<HI", 0, len(value)) if kind in LONG else struct.pack("<H", len(value))) + value


def number(group: int, tag: int, value: int) -> bytes:
    return element(group, tag, b"US", struct.pack("<H", value))


def dicom(
    pixels: np.ndarray,
    jpeg: bytes | None = None,
    syntax: str = UNCOMPRESSED,
    colors: str = "RGB",
    frames: int = 1,
    patient: str = "",
    sex: str = "",
    age: str = "",
) -> bytes:
    """Return a DICOM file of pixels, uint8 (height, width, 3), or of a JPEG of them, with its tags."""
    meta = element(2, 0x10, b"UI", syntax.encode())
    parts = [
        element(0x10, 0x20, b"LO", patient.encode()),
        element(0x10, 0x40, b"CS", sex.encode()),
        element(0x10, 0x1010, b"AS", age.encode()),
        number(0x28, 2, 3),
        element(0x28, 4, b"CS", colors.encode()),
        number(0x28, 6, 0),
        element(0x28, 8, b"IS", str(frames).encode()),
        *(number(0x28, tag, value) for tag, value in ((0x10, pixels.shape[0]), (0x11, pixels.shape[1]))),
        *(number(0x28, tag, value) for tag, value in ((0x100, 8), (0x101, 8), (0x102, 7), (0x103, 0))),
    ]
    if jpeg is None:
        parts.append(element(0x7FE0, 0x10, b"OB", pixels.tobytes()))
    else:
        jpeg += b"\0" * (len(jpeg) % 2)
        items = struct.pack("<HHI", 0xFFFE, 0xE000, 0) + struct.pack("<HHI", 0xFFFE, 0xE000, len(jpeg)) + jpeg
        end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        parts.append(struct.pack("<HH", 0x7FE0, 0x10) + b"OB" + struct.pack("<HI", 0, 0xFFFFFFFF) + items + end)
    length = element(2, 0, b"UL", struct.pack("<I", len(meta)))
    return bytes(128) + b"DICM" + length + meta + b"".join(parts)
