"""Images that the device warps are the same bits from the store or from its memory, and OpenCV's to one level."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import tiny
from melanoma.augment.pixelwise import has_pixelwise
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import TTA
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.device.images import DeviceImages
from melanoma.device.resident import ResidentImages
from melanoma.training.loader import EpochBatches, Examples, PredictionBatches
from melanoma.training.prefetch import Prefetch

CPU = torch.device("cpu")
RECIPE = tiny.recipe(
    batch_size=16,
    augmentation={
        "flip_vertical": 0.5,
        "affine": {"probability": 1.0, "rotate": 90, "zoom": 0.2},
        "brightness_contrast": {"probability": 0.5, "brightness": 0.1},
        "noise": {"probability": 0.5},
        "blur": {"probability": 0.3},
        "cutout": {"probability": 0.3},
    },
)
torch.set_num_threads(1)


@pytest.fixture
def ways(tmp_path):
    """The examples with images that OpenCV warps, that the device warps, and that it also holds."""
    rows = tiny.table()
    host = Examples.of(rows, MetadataEncoder.fit(rows), tiny.write_store(tmp_path / "images.h5", rows), 24)
    resident = ResidentImages.load(host.store, host.rows, CPU, Processes())
    streamed = replace(host, device_images=DeviceImages(host.store))
    return host, streamed, replace(host, device_images=DeviceImages(host.store, resident))


def training(examples):
    return EpochBatches(examples, RECIPE, 1)


def prediction(name, frame):
    return lambda examples: PredictionBatches(examples, 64, TTA(name=name, frame=frame), RECIPE)


FRAMES = ("scaled", "center_crop", "full_size")
BATCHES = {"training": training} | {
    f"{name}, {frame}": prediction(name, frame) for name in ("dihedral", "random") for frame in FRAMES
}


@pytest.mark.parametrize("kind", BATCHES)
def test_a_device_gives_the_same_bits_from_store_and_memory_and_opencvs_to_one_level(ways, kind):
    host, streamed, resident = (BATCHES[kind](examples) for examples in ways)
    assert len(host) == len(streamed) == len(resident)
    for number in range(len(host)):
        images = [batches[number].warped(CPU).images for batches in (host, streamed, resident)]
        assert torch.equal(images[1], images[2])
        assert (images[0].int() - images[1].int()).abs().max() <= 1
        batches = host[number], resident[number]
        assert torch.equal(batches[0].color, batches[1].color) and batches[0].noise_seeds == batches[1].noise_seeds


def test_images_with_pixelwise_changes_are_those_of_the_host(ways):
    host, _, resident = (training(examples) for examples in ways)
    for number, part in enumerate(host.slices):
        drawn = has_pixelwise(RECIPE.augmentation, RECIPE.seed, 1, np.arange(part.start, part.stop))
        assert 0 < drawn.sum() < len(drawn)
        assert resident[number].images.drawn_at.tolist() == np.flatnonzero(drawn).tolist()
        assert torch.equal(host[number].images[drawn], resident[number].warped(CPU).images[drawn])


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_any_number_of_threads_gives_the_same_bits(ways, threads):
    for examples in ways:
        batches = training(examples)
        with Prefetch(threads, pinned=False) as prefetch:
            loaded = list(prefetch.stream(batches, range(len(batches))))
        for number, batch in enumerate(loaded):
            assert torch.equal(batch.warped(CPU).images, batches[number].warped(CPU).images)


def test_only_a_gpu_warps_images_itself_and_what_it_holds_is_kept(ways):
    host, streamed, resident = ways
    assert host.on(CPU) is host and resident.on(torch.device("cuda")) is resident
    assert host.on(torch.device("cuda")).device_images == streamed.device_images
    assert replace(host, store=None).on(torch.device("cuda")).image_source() is None
