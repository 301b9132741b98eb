"""Images of a store on their way to the network: warped by OpenCV on the host, or as they are stored by the device.

The CPU uses OpenCV, a GPU always warps itself. So where the images of a training are kept never changes a bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from melanoma.augment.pixelwise import augment, has_pixelwise
from melanoma.augment.transforms import Transforms, random_transforms
from melanoma.augment.transforms import warp as warp_on_host
from melanoma.compute.distributed import Processes
from melanoma.config.augmentation import Augmentation
from melanoma.device.placement import place_images
from melanoma.device.resident import ResidentImages
from melanoma.device.sharded import Exchange, ShardedImages
from melanoma.device.warping import warp
from melanoma.images.store import ImageReader


class Samples(NamedTuple):
    """Samples of a training epoch: their rows in the store, and what decides their augmentation.

    `rows_by_process` has the rows that each process of the training needs in the same step.
    """

    rows: NDArray[np.int64]
    settings: Augmentation
    seed: int
    epoch: int
    sample_indices: NDArray[np.int64]
    rows_by_process: Sequence[NDArray[np.int64]]


@dataclass(frozen=True)
class StoredImages:
    """A batch that the device warps.

    `source` has the stored images, uint8 (n, S, S, 3), or their numbers, int64 (n,), in the `resident` ones. With an
    `exchange` they are the numbers of the images to send to each process. `affine` (n * views, 2, 3) maps pixels of a
    view, of which a side has `side`, to those `inside` a stored image. The host has `drawn` the images number
    `drawn_at`, uint8 (k, side, side, 3), because they have pixel-wise changes.
    """

    source: Tensor
    resident: Tensor | None
    exchange: Exchange | None
    inside: slice
    affine: Tensor
    side: int
    drawn_at: Tensor
    drawn: Tensor

    def pin_memory(self) -> "StoredImages":
        """Return the same in pinned memory, from which a GPU copies while it computes."""
        names = ("source", "affine", "drawn_at", "drawn")
        exchange = None if self.exchange is None else self.exchange.pin_memory()
        return replace(self, exchange=exchange, **{name: getattr(self, name).pin_memory() for name in names})

    def on(self, device: torch.device) -> Tensor:
        """Return the warped images on `device`, uint8 (n * views, side, side, 3).

        If the processes exchange images, each must call this for the same batch of the training, once.
        """
        source, affine = self.source.to(device, non_blocking=True), self.affine.to(device, non_blocking=True)
        stored = source if self.resident is None else self.resident.index_select(0, source)
        stored = stored if self.exchange is None else self.exchange(stored)
        images = warp(stored[:, self.inside, self.inside], affine, self.side)
        if len(self.drawn):
            at, drawn = self.drawn_at.to(device, non_blocking=True), self.drawn.to(device, non_blocking=True)
            images.index_copy_(0, at, drawn)
        return images


class ImageSource(Protocol):
    """Gives the images of a store in batches, warped, or with all that the device needs to warp them."""

    @property
    def store(self) -> ImageReader:
        """The store."""
        ...

    def augmented(self, samples: Samples, side: int) -> tuple[Tensor | StoredImages, Transforms]:
        """Return the images of training samples, and their transforms, whose colors and noise are still to come."""
        ...

    def views(
        self, rows: NDArray[np.int64], inside: slice, affine: NDArray[np.float32], side: int
    ) -> Tensor | StoredImages:
        """Return the views of the images `rows`, which show what is `inside` them, by `affine` (n * views, 2, 3)."""
        ...


@dataclass(frozen=True)
class HostImages:
    """The images of a store, uint8 (n, side, side, 3) on the CPU, warped by OpenCV."""

    store: ImageReader

    def augmented(self, samples: Samples, side: int) -> tuple[Tensor, Transforms]:
        """Return the images of training samples, and their transforms, whose colors and noise are still to come."""
        rows, settings, seed, epoch, sample_indices, _ = samples
        images, transforms = augment(self.store.read(rows), settings, seed, epoch, sample_indices, side)
        return torch.from_numpy(images), transforms

    def views(self, rows: NDArray[np.int64], inside: slice, affine: NDArray[np.float32], side: int) -> Tensor:
        """Return the views of the images `rows`, which show what is `inside` them, by `affine` (n * views, 2, 3)."""
        pixels = np.ascontiguousarray(self.store.read(rows)[:, inside, inside])
        return torch.from_numpy(warp_on_host(pixels, affine, side))


@dataclass(frozen=True)
class DeviceImages:
    """The images of a store that the device warps; it may hold those of a training or a part of them, in `resident`."""

    store: ImageReader
    resident: ResidentImages | ShardedImages | None = None

    def augmented(self, samples: Samples, side: int) -> tuple[StoredImages, Transforms]:
        """Return the images of training samples, and their transforms, whose colors and noise are still to come."""
        rows, settings, seed, epoch, sample_indices, rows_by_process = samples
        transforms = random_transforms(settings, seed, epoch, sample_indices, self.store.size, side)
        changed = np.flatnonzero(has_pixelwise(settings, seed, epoch, sample_indices))
        source = self._source(rows, rows_by_process)
        images = _stored_images(source, slice(0, self.store.size), transforms.affine, side)
        if len(changed):
            pixels = self.store.read(rows[changed])
            drawn, _ = augment(pixels, settings, seed, epoch, sample_indices[changed], side)
            images = replace(images, drawn_at=torch.from_numpy(changed), drawn=torch.from_numpy(drawn))
        return images, transforms

    def views(self, rows: NDArray[np.int64], inside: slice, affine: NDArray[np.float32], side: int) -> StoredImages:
        """Return the views of the images `rows`, which show what is `inside` them, by `affine` (n * views, 2, 3)."""
        return _stored_images(self._source(rows), inside, affine, side)

    def _source(self, rows: NDArray[np.int64], rows_by_process: Sequence[NDArray[np.int64]] | None = None) -> "_Source":
        """Return where the images `rows` come from. Only a step of the training exchanges images."""
        match self.resident:
            case ResidentImages(pixels=pixels) as held:
                return _Source(torch.from_numpy(held.numbers(rows)), pixels)
            case ShardedImages(pixels=pixels) as held if rows_by_process is not None:
                numbers, exchange = held.exchange(rows_by_process)
                return _Source(torch.from_numpy(numbers), pixels, exchange)
        return _Source(torch.from_numpy(self.store.read(rows)))


class _Source(NamedTuple):
    """These fields of StoredImages."""

    source: Tensor
    resident: Tensor | None = None
    exchange: Exchange | None = None


def _stored_images(source: _Source, inside: slice, affine: NDArray[np.float32], side: int) -> StoredImages:
    drawn_at, drawn = torch.zeros(0, dtype=torch.int64), torch.zeros(0, side, side, 3, dtype=torch.uint8)
    return StoredImages(*source, inside, torch.from_numpy(affine), side, drawn_at, drawn)


class TrainingImages(NamedTuple):
    """The images of training and of validation for a GPU. On the CPU, OpenCV warps those of the store, without these.

    Only training may use the first ones, as they can be a part of the images, and the others come in its steps.
    """

    training: DeviceImages | None = None
    validation: DeviceImages | None = None


def device_images(
    store: ImageReader,
    rows: NDArray[np.int64],
    validated: Sequence[NDArray[np.int64]],
    device: torch.device,
    processes: Processes,
) -> TrainingImages:
    """Return the images of a training on `rows`, of which each process evaluates the rows `validated`, as they fit."""
    if device.type == "cpu":
        return TrainingImages()
    free, _ = torch.cuda.mem_get_info(device)
    held = place_images(store, rows, validated, device, free, processes)
    return TrainingImages(*(DeviceImages(store, images) for images in held))
