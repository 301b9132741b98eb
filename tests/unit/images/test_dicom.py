"""The photograph in a DICOM file is read where pydicom is installed; elsewhere the message says what to install."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from dicom_files import JPEG_2000, JPEG_BASELINE, dicom
from melanoma.config.data import Images
from melanoma.images.shards import prepare_file
from pictures import decode, encode, smooth

PIXELS = smooth(60, 40)
JPEG = encode(PIXELS)
INSTALL = "a DICOM file, which needs a package: pip install pydicom"


def problem(folder: Path, data: bytes) -> str | None:
    (folder / "a.jpg").write_bytes(data)
    return prepare_file(folder / "a.jpg", Images(size=32)).problem


@pytest.mark.parametrize(
    ("data", "pixels"),
    [
        (dicom(PIXELS), encode(PIXELS, ".png")),
        (dicom(PIXELS, JPEG, JPEG_BASELINE, "YBR_FULL_422"), JPEG),
    ],
    ids=["uncompressed", "JPEG"],
)
def test_the_pixels_are_those_of_the_photograph(tmp_path: Path, data: bytes, pixels: bytes) -> None:
    (tmp_path / "a.dcm").write_bytes(data)
    result = prepare_file(tmp_path / "a.dcm", Images(size=32))
    if not find_spec("pydicom"):
        assert result.problem == INSTALL
    else:
        assert (result.format, result.width, result.height, result.problem) == ("dicom", 60, 40, None)
        assert result.pixels is not None
        assert (result.pixels == decode(pixels, 32, "center_crop")).all()


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (dicom(PIXELS, JPEG, JPEG_2000), "a DICOM file of JPEG 2000 Image Compression (Lossless Only), RGB, 8 bits"),
        (
            dicom(PIXELS, JPEG, JPEG_BASELINE),
            "a DICOM file of JPEG Baseline (Process 1), RGB, 8 bits, which is not read",
        ),
        (dicom(np.concatenate([PIXELS, PIXELS]), frames=2), "a DICOM file of 2 images; give a file for each image"),
        (dicom(PIXELS, b"", JPEG_BASELINE, "YBR_FULL_422"), "empty file"),
        (dicom(PIXELS)[:-900], "a damaged DICOM file"),
        (bytes(128) + b"DICM" + bytes(100), "a DICOM file without an image"),
    ],
    ids=["JPEG 2000", "RGB in JPEG", "two frames", "no frame", "truncated", "no image"],
)
def test_another_dicom_file_is_named_by_its_kind(tmp_path: Path, data: bytes, says: str) -> None:
    said = problem(tmp_path, data)
    assert said is not None and said.startswith(says if find_spec("pydicom") else INSTALL), said


def test_a_deflated_file_is_never_inflated(tmp_path: Path) -> None:
    deflated = dicom(PIXELS, syntax="1.2.840.10008.1.2.1.99")
    said = problem(tmp_path, deflated)
    assert said == (
        "a deflated DICOM file, which is not read; save it uncompressed" if find_spec("pydicom") else INSTALL
    )
