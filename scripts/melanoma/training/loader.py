"""Batches of images, metadata and targets: read from the store, augmented, and put on the device."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from melanoma.augment.transforms import Transforms
from melanoma.augment.transforms import transform_colors as transform_colors_on_host
from melanoma.augment.tta import frame, view_count, views
from melanoma.common.errors import InputError
from melanoma.compute.distributed import contiguous_part
from melanoma.config.augmentation import TTA
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.device.images import DeviceImages, HostImages, ImageSource, Samples, StoredImages
from melanoma.device.warping import transform_colors
from melanoma.images.store import ImageReader, ImageStore
from melanoma.training.sampling import batch_slices, epoch_order


def diagnosis_classes(table: pd.DataFrame) -> tuple[str, ...]:
    """Return the distinct diagnoses of the training rows, sorted: the classes of the auxiliary loss."""
    return tuple(sorted(table["diagnosis"].dropna().unique()))


@dataclass(frozen=True)
class Examples:
    """The rows that a model is trained on or predicts.

    `metadata` (n, columns) float32, `targets` (n,) float32, and `diagnoses` (n,) int64, indices of classes or -1. A
    model that reads images has the `store`, the row of each image in it (`rows`), and the side in pixels of the
    network's input (`output_size`). `first` is the number of the first example among all that are predicted. OpenCV
    warps the images, unless a GPU does it, from its `device_images`.
    """

    metadata: NDArray[np.float32]
    targets: NDArray[np.float32]
    diagnoses: NDArray[np.int64]
    store: ImageReader | None
    rows: NDArray[np.int64]
    output_size: int
    first: int = 0
    device_images: DeviceImages | None = None

    @classmethod
    def of(
        cls,
        table: pd.DataFrame,
        encoder: MetadataEncoder,
        images: Path | None,
        input_size: int | None,
        diagnoses: tuple[str, ...] = (),
    ) -> "Examples":
        """Return the examples of `table`.

        Targets are 0 if the table has none. Diagnoses are -1 if they are not among the classes `diagnoses`.
        """
        store = ImageStore(images) if images is not None else None
        targets = table["target"] if "target" in table else np.zeros(len(table))
        classes = table["diagnosis"].astype(object) if "diagnosis" in table else [None] * len(table)
        return cls(
            metadata=encoder.transform(table),
            targets=np.asarray(targets, np.float32),
            diagnoses=pd.Index(diagnoses, dtype=object).get_indexer(classes).astype(np.int64),
            store=store,
            rows=table["row"].to_numpy(np.int64),
            output_size=input_size or (store.size if store is not None else 0),
        )

    @property
    def labels(self) -> NDArray[np.int64]:
        """The targets as whole numbers, (n,)."""
        return self.targets.astype(np.int64)

    def on(self, device: torch.device) -> "Examples":
        """Return the examples as batches for `device` need them: a GPU warps their images itself."""
        if self.store is None or self.device_images is not None or device.type == "cpu":
            return self
        return replace(self, device_images=DeviceImages(self.store))

    def image_source(self) -> ImageSource | None:
        """Return what gives the images of batches, or None if the model reads none."""
        if self.device_images is not None:
            return self.device_images
        return None if self.store is None else HostImages(self.store)


@dataclass(frozen=True)
class Batch:
    """A batch on the CPU, with the color transforms and the noise of its images.

    `images` are uint8 (n, side, side, 3), or those that a device is still to warp, or None.
    """

    images: Tensor | StoredImages | None
    color: Tensor
    noise: Tensor
    noise_seeds: list[int]
    metadata: Tensor
    targets: Tensor
    diagnoses: Tensor

    def __len__(self) -> int:
        """Return the number of images, or of rows if there are no images."""
        return len(self.targets)

    def warped(self, device: torch.device) -> "Batch":
        """Return the batch after `device` warped its images, if that is still to do."""
        return replace(self, images=self.images.on(device)) if isinstance(self.images, StoredImages) else self

    def parts(self, count: int) -> list["Batch"]:
        """Cut a warped batch into `count` contiguous parts whose sizes differ by at most one.

        Raises InputError if one is empty.
        """
        if count > len(self):
            raise InputError(
                f"A batch of {len(self)} images cannot be cut into {count} parts; set a larger batch_size or fewer"
                " gradient_accumulation_steps"
            )
        return [self._cut(contiguous_part(slice(0, len(self)), number, count)) for number in range(count)]

    def pin_memory(self) -> "Batch":
        """Return the batch in pinned memory, from which a GPU copies while it computes."""
        return Batch(
            None if self.images is None else self.images.pin_memory(),
            self.color.pin_memory(),
            self.noise,
            self.noise_seeds,
            self.metadata.pin_memory(),
            self.targets.pin_memory(),
            self.diagnoses.pin_memory(),
        )

    def _cut(self, part: slice) -> "Batch":
        assert not isinstance(self.images, StoredImages)
        return Batch(
            None if self.images is None else self.images[part],
            self.color[part],
            self.noise[part],
            self.noise_seeds[part],
            self.metadata[part],
            self.targets[part],
            self.diagnoses[part],
        )


class EpochBatches:
    """The batches of one training epoch. Each depends on (recipe, seed, epoch, number of the batch) alone.

    Process `rank` of `ranks` gets its contiguous part of each batch, whose images are augmented as in the whole batch.
    `global_sizes` are the numbers of images of the whole batches. Raises InputError if one is smaller than `ranks`.
    """

    def __init__(self, examples: Examples, recipe: Recipe, epoch: int, rank: int = 0, ranks: int = 1) -> None:
        self.examples, self.recipe, self.epoch = examples, recipe, epoch
        self.rank, self.ranks = rank, ranks
        self.order = epoch_order(examples.labels, recipe.sampling, recipe.seed, epoch)
        self.slices = batch_slices(len(self.order), recipe.batch_size)
        self.global_sizes = [part.stop - part.start for part in self.slices]
        if min(self.global_sizes, default=ranks) < ranks:
            raise InputError(
                f"A batch of {min(self.global_sizes)} images cannot be cut over {ranks} processes; set a larger"
                " batch_size or fewer GPUs"
            )

    def __len__(self) -> int:
        """Return the number of batches, which is the same for every rank."""
        return len(self.slices)

    def __getitem__(self, number: int) -> Batch:
        """Return this rank's part of batch `number`."""
        part = self._of_rank(number, self.rank)
        examples, indices = self.examples, self.order[part]
        source, images, transforms = examples.image_source(), None, None
        if source is not None:
            settings, seed = self.recipe.augmentation, self.recipe.seed
            places = np.arange(part.start, part.stop)
            by_process = [examples.rows[self.order[self._of_rank(number, rank)]] for rank in range(self.ranks)]
            samples = Samples(examples.rows[indices], settings, seed, self.epoch, places, by_process)
            images, transforms = source.augmented(samples, examples.output_size)
        return _batch(examples, indices, images, transforms)

    def place(self, number: int) -> slice:
        """Return where this rank's part of batch `number` is within the batch."""
        part, start = self._of_rank(number, self.rank), self.slices[number].start
        return slice(part.start - start, part.stop - start)

    def _of_rank(self, number: int, rank: int) -> slice:
        return contiguous_part(self.slices[number], rank, self.ranks)


class PredictionBatches:
    """The examples in their order, each with all its views of `tta`, of which there are `views`.

    Each image is read once, and its metadata, target and diagnosis are repeated for each view. A model without images
    has one view. A batch has at most `batch_size` views, but always all views of an image.
    """

    def __init__(self, examples: Examples, batch_size: int, tta: TTA, recipe: Recipe) -> None:
        self.examples, self.tta, self.recipe = examples, tta, recipe
        self.views = view_count(tta) if examples.store is not None else 1
        self.slices = batch_slices(len(examples.rows), max(batch_size // self.views, 1))

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.slices)

    def __getitem__(self, number: int) -> Batch:
        """Return batch `number`."""
        indices = np.arange(len(self.examples.rows))[self.slices[number]]
        examples, images, transforms = self.examples, None, None
        source = examples.image_source()
        if source is not None:
            settings, seed = self.recipe.augmentation, self.recipe.seed
            inside, side = frame(self.tta, source.store.size, examples.output_size)
            shown = inside.stop - inside.start
            transforms = views(self.tta, settings, seed, indices + examples.first, shown, side)
            images = source.views(examples.rows[indices], inside, transforms.affine, side)
        return _batch(examples, np.repeat(indices, self.views), images, transforms)


class DeviceBatch(NamedTuple):
    """A batch on its device.

    Images (n, 3, side, side) float32, normalized, or None; metadata (n, columns) and targets (n,) float32; diagnoses
    (n,) int64.
    """

    images: Tensor | None
    metadata: Tensor
    targets: Tensor
    diagnoses: Tensor


def to_device(batch: Batch, device: torch.device) -> DeviceBatch:
    """Put a batch on `device`; warp its images there, if that is still to do, and transform their colors.

    The images keep the memory layout of the store, channels last, in which convolutions are faster.
    """
    images, batch = None, batch.warped(device)
    if isinstance(batch.images, Tensor):
        transform = _transform_colors_on_cpu if device.type == "cpu" else _transform_colors
        count, *sides, channels = batch.images.shape
        images = transform(batch.images, batch, device).view(count, *sides, channels).permute(0, 3, 1, 2)
    metadata, targets, diagnoses = (
        part.to(device, non_blocking=True) for part in (batch.metadata, batch.targets, batch.diagnoses)
    )
    return DeviceBatch(images, metadata, targets, diagnoses)


def _transform_colors(images: Tensor, batch: Batch, device: torch.device) -> Tensor:
    """Add the noise to the images and apply their color transforms; return (n, pixels, 3) float32."""
    pixels = images.to(device, non_blocking=True).flatten(1, 2).float()
    color = batch.color.to(device, non_blocking=True)
    for index in torch.nonzero(batch.noise).flatten().tolist():
        pixels[index] += _noise(batch, index, pixels[index])
    return transform_colors(pixels, color)


def _transform_colors_on_cpu(images: Tensor, batch: Batch, device: torch.device) -> Tensor:
    """Do the same image by image in OpenCV, which stays in the cache. torch takes ten times as long on a CPU."""
    result = torch.empty(len(images), images[0].numel() // 3, 3)
    for index, pixels in enumerate(result):
        pixels.copy_(images[index].flatten(0, 1))
        if batch.noise[index]:
            pixels += _noise(batch, index, pixels)
        transform_colors_on_host(pixels.numpy()[None], batch.color[index].numpy())
    return result


def _noise(batch: Batch, index: int, pixels: Tensor) -> Tensor:
    """Draw the noise of one image, in gray levels, of the shape of its `pixels`. It depends on its seed alone."""
    generator = torch.Generator(pixels.device).manual_seed(batch.noise_seeds[index])
    return torch.randn(pixels.shape, generator=generator, device=pixels.device) * batch.noise[index].item()


def _batch(
    examples: Examples, indices: NDArray[np.int64], images: Tensor | StoredImages | None, transforms: Transforms | None
) -> Batch:
    return Batch(
        images=images,
        color=torch.from_numpy(transforms.color) if transforms is not None else torch.zeros(0),
        noise=torch.from_numpy(transforms.noise) if transforms is not None else torch.zeros(0),
        noise_seeds=transforms.noise_seeds.tolist() if transforms is not None else [],
        metadata=torch.from_numpy(examples.metadata[indices]),
        targets=torch.from_numpy(examples.targets[indices]),
        diagnoses=torch.from_numpy(examples.diagnoses[indices]),
    )
