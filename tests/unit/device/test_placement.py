"""The images of a training are where they leave room for the network: on each GPU, on all GPUs together, or on none."""

import logging
from dataclasses import dataclass

import numpy as np
import pytest
import torch

import tiny
from melanoma.compute.distributed import Processes
from melanoma.device.placement import SHARE_OF_FREE_MEMORY, place_images
from melanoma.device.sharded import ShardedImages
from melanoma.images.store import ImageStore

CPU = torch.device("cpu")
IMAGE = tiny.SIZE**2 * 3 / SHARE_OF_FREE_MEMORY
ROWS, VALIDATED = np.array([7, 3, 3, 19]), np.array([4, 8])


@dataclass(frozen=True)
class Second(Processes):
    """The second of two processes. The first one has more memory."""

    rank: int = 1
    count: int = 2

    def gather(self, value):
        return [2 * value, value]


@pytest.fixture
def store(tmp_path):
    return ImageStore(tiny.write_store(tmp_path / "images.h5", tiny.table(20)))


def test_images_that_take_more_than_their_share_of_the_free_memory_stay_in_the_store(store, caplog):
    caplog.set_level(logging.INFO)
    assert place_images(store, ROWS, [VALIDATED], CPU, int(5 * IMAGE) - 1, Processes()) == (None, None)
    assert "read the images from the store in each epoch: 5 images of 32 pixels need 0.00 GB, 40%" in caplog.text
    training, validation = place_images(store, ROWS, [VALIDATED], CPU, int(5 * IMAGE) + 1, Processes())
    assert training is validation and training.rows.tolist() == [3, 4, 7, 8, 19]
    assert "the GPU holds the images" in caplog.text


def test_of_two_gpus_each_holds_a_part_and_the_images_that_it_evaluates_if_they_do_not_fit_on_one(store, caplog):
    caplog.set_level(logging.INFO)
    validated = [VALIDATED, VALIDATED[:0]]
    # The first process would hold two images of the training and two of the validation.
    assert place_images(store, ROWS, validated, CPU, int(4 * IMAGE) - 1, Second()) == (None, None)
    training, validation = place_images(store, ROWS, validated, CPU, int(4 * IMAGE) + 1, Second())
    assert isinstance(training, ShardedImages)
    np.testing.assert_array_equal(training.pixels.numpy(), store.read([19]))
    assert len(validation.pixels) == 0
    assert "each GPU holds a part of the images and gets the others" in caplog.text
