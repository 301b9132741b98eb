"""Batches of images, metadata and targets: read from the store, augmented, and put on the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from melanoma.augment import Maps, plain_maps, random_maps, warp
from melanoma.encoder import MetadataEncoder
from melanoma.sampling import batch_slices, epoch_order
from melanoma.store import ImageStore


@dataclass(frozen=True)
class Examples:
    """Rows that a model is trained on or predicts: metadata (n, columns) float32, targets (n,) float32, and for a model
    that sees images the store, each image's row in it, and the side in pixels that the network sees.
    """

    metadata: NDArray[np.float32]
    targets: NDArray[np.float32]
    store: ImageStore | None
    rows: NDArray[np.int64]
    seen: int

    @classmethod
    def of(
        cls, table: pd.DataFrame, encoder: MetadataEncoder, images: Path | None, input_size: int | None
    ) -> "Examples":
        """Gather the examples of `table`; targets are 0 where it has none."""
        store = ImageStore(images) if images is not None else None
        targets = table["target"] if "target" in table else np.zeros(len(table))
        return cls(
            metadata=encoder.transform(table),
            targets=np.asarray(targets, np.float32),
            store=store,
            rows=table["row"].to_numpy(np.int64),
            seen=input_size or (store.size if store is not None else 0),
        )


@dataclass(frozen=True)
class Batch:
    """One batch as it leaves the loader: images (n, seen, seen, 3) uint8 or None, their colour maps and noise."""

    images: Tensor | None
    colour: Tensor
    noise: Tensor
    noise_seeds: list[int]
    metadata: Tensor
    targets: Tensor

    def pin_memory(self) -> "Batch":
        """Let the DataLoader move the batch to pinned memory."""
        return Batch(
            None if self.images is None else self.images.pin_memory(),
            self.colour.pin_memory(),
            self.noise,
            self.noise_seeds,
            self.metadata.pin_memory(),
            self.targets.pin_memory(),
        )


class EpochBatches(Dataset[Batch]):
    """The batches of one training epoch, each a function of (recipe, seed, epoch, number of the batch) alone."""

    def __init__(self, examples: Examples, recipe: dict[str, Any], epoch: int) -> None:
        self.examples, self.recipe, self.epoch = examples, recipe, epoch
        self.order = epoch_order(examples.targets.astype(np.int64), recipe["sampling"], recipe["seed"], epoch)
        self.slices = batch_slices(len(self.order), recipe["batch_size"])

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.slices)

    def __getitem__(self, number: int) -> Batch:
        """Return batch `number`."""
        part = self.slices[number]
        positions = np.arange(part.start, part.stop)
        maps = None
        if self.examples.store is not None:
            maps = random_maps(
                self.recipe["augmentation"],
                self.recipe["seed"],
                self.epoch,
                positions,
                self.examples.store.size,
                self.examples.seen,
            )
        return _batch(self.examples, self.order[part], maps)


class PlainBatches(Dataset[Batch]):
    """The examples in their order and without augmentation, for prediction."""

    def __init__(self, examples: Examples, batch_size: int) -> None:
        self.examples = examples
        self.slices = batch_slices(len(examples.rows), batch_size)

    def __len__(self) -> int:
        """Return the number of batches."""
        return len(self.slices)

    def __getitem__(self, number: int) -> Batch:
        """Return batch `number`."""
        part = self.slices[number]
        indices = np.arange(part.start, part.stop)
        store = self.examples.store
        maps = plain_maps(len(indices), store.size, self.examples.seen) if store is not None else None
        return _batch(self.examples, indices, maps)


def loader(dataset: Dataset[Batch], numbers: Sequence[int], workers: int, pinned: bool) -> DataLoader[Batch]:
    """Return a loader of the batches `numbers`, in that order whatever the number of workers."""
    return DataLoader(
        dataset,
        sampler=numbers,
        batch_size=None,
        num_workers=workers,
        pin_memory=pinned,
        collate_fn=_unchanged,
        generator=torch.Generator(),
    )


def to_device(batch: Batch, device: torch.device) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return images (n, 3, seen, seen) float32 as the network sees them, metadata and targets, on `device`.

    The images lie in memory as they were stored, channels last, which convolutions are faster on.
    """
    images = None
    if batch.images is not None:
        map_colours = _map_colours_on_cpu if device.type == "cpu" else _map_colours
        images = map_colours(batch, device).unflatten(1, batch.images.shape[1:3]).permute(0, 3, 1, 2)
    return images, batch.metadata.to(device, non_blocking=True), batch.targets.to(device, non_blocking=True)


def _map_colours(batch: Batch, device: torch.device) -> Tensor:
    """Add the noise to the images and apply their colour maps; return (n, pixels, 3) float32."""
    pixels = batch.images.to(device, non_blocking=True).flatten(1, 2).float()
    colour = batch.colour.to(device, non_blocking=True)
    for index in torch.nonzero(batch.noise).flatten().tolist():
        pixels[index] += _noise(batch, index, device)
    return torch.baddbmm(colour[:, None, :, 3], pixels, colour[:, :, :3].mT)


def _map_colours_on_cpu(batch: Batch, device: torch.device) -> Tensor:
    """Do the same image by image, which stays in the cache, by OpenCV: torch takes ten times as long on a CPU."""
    result = torch.empty(len(batch.images), batch.images[0].numel() // 3, 3)
    for index, pixels in enumerate(result):
        pixels.copy_(batch.images[index].flatten(0, 1))
        if batch.noise[index]:
            pixels += _noise(batch, index, device)
        image = pixels.numpy()[None]
        cv2.transform(image, batch.colour[index].numpy(), dst=image)
    return result


def _noise(batch: Batch, index: int, device: torch.device) -> Tensor:
    """Draw the noise of one image, (pixels, 3) in grey levels: a function of its seed."""
    generator = torch.Generator(device).manual_seed(batch.noise_seeds[index])
    return (
        torch.randn(batch.images[index].numel() // 3, 3, generator=generator, device=device) * batch.noise[index].item()
    )


def _batch(examples: Examples, indices: NDArray[np.int64], maps: Maps | None) -> Batch:
    images = None
    if examples.store is not None and maps is not None:
        images = torch.from_numpy(warp(examples.store.read(examples.rows[indices]), maps.affine, examples.seen))
    return Batch(
        images=images,
        colour=torch.from_numpy(maps.colour) if maps is not None else torch.zeros(0),
        noise=torch.from_numpy(maps.noise) if maps is not None else torch.zeros(0),
        noise_seeds=maps.noise_seeds.tolist() if maps is not None else [],
        metadata=torch.from_numpy(examples.metadata[indices]),
        targets=torch.from_numpy(examples.targets[indices]),
    )


def _unchanged(batch: Batch) -> Batch:
    return batch
