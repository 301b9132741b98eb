"""Images in the memory of a device: each once."""

import numpy as np
import torch

import tiny
from melanoma.compute.distributed import Processes
from melanoma.device.resident import ResidentImages
from melanoma.images.store import ImageStore

ROWS = np.array([7, 3, 3, 19])


def test_each_image_is_held_once_and_found_by_its_row(tmp_path):
    store = ImageStore(tiny.write_store(tmp_path / "images.h5", tiny.table(20)))
    resident = ResidentImages.load(store, np.tile(ROWS, 50), torch.device("cpu"), Processes())
    assert len(resident.pixels) == 3
    np.testing.assert_array_equal(resident.pixels[resident.numbers(ROWS)].numpy(), store.read(ROWS))
