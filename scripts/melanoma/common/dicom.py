"""Opens DICOM files by pydicom, which is not installed with the workflow."""

import io
from pathlib import Path
from typing import Any

from melanoma.common.errors import InputError

PREAMBLE, MARK = 128, b"DICM"
# Its data set is compressed as a whole, so a small file could fill the memory.
DEFLATED = b"1.2.840.10008.1.2.1.99"


def is_dicom(data: bytes) -> bool:
    """Return whether the content of a file is DICOM."""
    return data.startswith(MARK, PREAMBLE)


def open_dicom(file: Path | bytes, pixels: bool) -> Any:
    """Return the data set of a DICOM file, a path or its content, with or without its pixels.

    Raises OSError if the path cannot be read, and InputError without the path if pydicom is not installed, or if the
    file is damaged or deflated.
    """
    try:
        import pydicom
    except ImportError as error:
        raise InputError("a DICOM file, which needs a package: pip install pydicom") from error
    with file.open("rb") if isinstance(file, Path) else io.BytesIO(file) as content:
        start = content.read(2048)
        if not is_dicom(start):
            raise InputError("no DICOM file, in spite of its name; name it by its format")
        if DEFLATED in start:
            raise InputError("a deflated DICOM file, which is not read; save it uncompressed")
        content.seek(0)
        try:
            return pydicom.dcmread(content, stop_before_pixels=not pixels)
        except Exception as error:  # of many kinds, for damage of many kinds
            raise InputError(f"a damaged DICOM file: {error}") from error
