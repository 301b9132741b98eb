"""The images of ISIC 2024 are read from one HDF5 file as from files of their own."""

from pathlib import Path

import h5py
import numpy as np
import pytest

from melanoma.config.data import Images
from melanoma.images.shards import prepare_file
from pictures import encode, smooth

SETTINGS = Images(size=32)


@pytest.fixture
def jpeg() -> bytes:
    return encode(smooth(60, 40))


@pytest.mark.parametrize(
    "kind", [np.void, np.bytes_, lambda data: np.frombuffer(data, np.uint8)], ids=["void", "bytes", "uint8"]
)
def test_an_image_in_hdf5_is_the_one_of_its_file(tmp_path: Path, jpeg: bytes, kind: type) -> None:
    (tmp_path / "ISIC_1.jpg").write_bytes(jpeg)
    with h5py.File(tmp_path / "train-image.hdf5", "w") as file:
        file["ISIC_1"] = kind(jpeg)
    stored = prepare_file(tmp_path / "train-image.hdf5" / "ISIC_1", SETTINGS)
    alone = prepare_file(tmp_path / "ISIC_1.jpg", SETTINGS)
    assert stored.problem is None and (stored.sha256, stored.bytes) == (alone.sha256, alone.bytes)
    np.testing.assert_array_equal(stored.pixels, alone.pixels)


def test_an_image_that_the_hdf5_file_lacks_is_unreadable_with_a_reason(tmp_path: Path, jpeg: bytes) -> None:
    with h5py.File(tmp_path / "train-image.hdf5", "w") as file:
        file["ISIC_1"] = np.void(jpeg)
    problem = prepare_file(tmp_path / "train-image.hdf5" / "ISIC_2", SETTINGS).problem
    assert problem is not None and problem.startswith("cannot be opened: not read from HDF5")
