"""Images in the memory of a device: each once, and only where they leave room for the network."""

import logging

import numpy as np
import pytest
import torch

import tiny
from melanoma.compute.distributed import Processes
from melanoma.device.resident import SHARE_OF_FREE_MEMORY, ResidentImages, resident_if_they_fit
from melanoma.images.store import ImageStore

CPU = torch.device("cpu")
ROWS = np.array([7, 3, 3, 19])


@pytest.fixture
def store(tmp_path):
    return ImageStore(tiny.write_store(tmp_path / "images.h5", tiny.table(20)))


def test_each_image_is_held_once_and_found_by_its_row(store):
    resident = ResidentImages.load(store, np.tile(ROWS, 50), CPU, Processes())
    assert len(resident.pixels) == 3
    np.testing.assert_array_equal(resident.pixels[resident.numbers(ROWS)].numpy(), store.read(ROWS))


def test_images_that_take_more_than_their_share_of_the_free_memory_stay_in_the_store(store, caplog):
    caplog.set_level(logging.INFO)
    limit = int(3 * tiny.SIZE**2 * 3 / SHARE_OF_FREE_MEMORY)
    assert resident_if_they_fit(store, ROWS, CPU, limit - 1, Processes()) is None
    assert "read the images from the store in each epoch: 3 images of 32 pixels need 0.00 GB, 40%" in caplog.text
    assert resident_if_they_fit(store, ROWS, CPU, limit + 1, Processes()) is not None
    assert "the GPU holds the images" in caplog.text
