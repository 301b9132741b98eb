"""The photograph in a DICOM file, as an ordinary image file."""

from typing import Any

import cv2
import numpy as np

from melanoma.common.dicom import open_dicom
from melanoma.common.errors import InputError

JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
GRAY, RGB = "MONOCHROME2", "RGB"
ADOBE = b"Adobe"  # the marker that says whether a JPEG holds RGB
REMEDY = "convert it to JPEG or PNG, or to uncompressed DICOM of 8 bits in RGB"


def image_in_dicom(data: bytes) -> bytes:
    """Return the JPEG in a DICOM file as it is, or the uncompressed pixels of 8 bits as BMP.

    Raises InputError, without the path, if the file is damaged, has no image or several, or keeps its pixels in another
    way; and if pydicom is not installed.
    """
    dataset = open_dicom(data, pixels=True)
    try:
        return _only_image(dataset)
    except InputError:
        raise
    except Exception as error:  # of many kinds, for damage of many kinds
        raise InputError(f"a damaged DICOM file: {error}") from error


def _only_image(dataset: Any) -> bytes:
    if "PixelData" not in dataset:
        raise InputError("a DICOM file without an image")
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frames != 1:
        raise InputError(f"a DICOM file of {frames} images; give a file for each image")
    syntax, colors = dataset.file_meta.TransferSyntaxUID, str(dataset.PhotometricInterpretation)
    if syntax == JPEG_BASELINE:
        from pydicom.encaps import generate_frames

        jpeg: bytes = next(generate_frames(dataset.PixelData, number_of_frames=1))
        if colors != RGB or ADOBE in jpeg[:4096]:
            return jpeg
    elif syntax in UNCOMPRESSED and colors in (GRAY, RGB) and dataset.BitsAllocated == dataset.BitsStored == 8:
        pixels = np.asarray(dataset.pixel_array, np.uint8)
        return cv2.imencode(".bmp", pixels[..., ::-1] if colors == RGB else pixels)[1].tobytes()
    raise InputError(f"a DICOM file of {syntax.name}, {colors}, {dataset.BitsStored} bits, which is not read; {REMEDY}")
