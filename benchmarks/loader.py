"""Compares the loading of augmented training batches with torchvision transforms over JPEG files.

python benchmarks/loader.py --images FOLDER_OF_JPEGS --output benchmarks/results/loader.md
"""

import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from measurement import conditions, markdown, medians, parser, publish
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, read_image
from torchvision.transforms import v2

from melanoma.augment.pixelwise import PIXELWISE, apply_pixelwise
from melanoma.augment.transforms import IMAGENET_MEAN, IMAGENET_STD, random_transforms, warp
from melanoma.config.augmentation import Augmentation
from melanoma.config.data import Images
from melanoma.config.recipe import Recipe
from melanoma.demo.images import draw_photograph
from melanoma.images.shards import write_shard
from melanoma.images.store import ImageStore
from melanoma.training.loader import EpochBatches, Examples, to_device
from melanoma.training.prefetch import Prefetch

STORED, SEEN, BATCH, IMAGES, REPEATS = 512, 416, 16, 160, 11
CPU = torch.device("cpu")
AUGMENTATION = {
    "flip_horizontal": 0.5,
    "flip_vertical": 0.5,
    "crop": {"scale": [0.8, 1.0]},
    "affine": {"probability": 1.0, "rotate": 30, "shift": 0.1},
    "brightness_contrast": {"probability": 1.0, "brightness": 0.1, "contrast": 0.1},
    "hue_saturation_value": {"probability": 1.0, "hue": 5, "saturation": 0.1},
}


class Files(Dataset[torch.Tensor]):
    """JPEG files, augmented by torchvision's v2 transforms."""

    def __init__(self, files: list[Path], side: int = SEEN) -> None:
        self.files = files
        self.chain = v2.Compose(
            [
                v2.RandomResizedCrop(side, scale=(0.8, 1.0), ratio=(1.0, 1.0), antialias=True),
                v2.RandomHorizontalFlip(),
                v2.RandomVerticalFlip(),
                v2.RandomAffine(degrees=30, translate=(0.1, 0.1), interpolation=v2.InterpolationMode.BILINEAR),
                v2.ColorJitter(brightness=0.1, contrast=0.1, saturation=0.1, hue=5 / 360),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(IMAGENET_MEAN.tolist(), IMAGENET_STD.tolist()),
            ]
        )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.files)

    def __getitem__(self, index: int) -> torch.Tensor:
        """Return an augmented image, float32 (3, side, side)."""
        return self.chain(read_image(str(self.files[index]), ImageReadMode.RGB))


def training_examples(folder: Path, files: list[Path]) -> Examples:
    """Prepare the files as a store, and return all of it as examples."""
    catalog = pd.DataFrame({"image": [path.stem for path in files], "file": [str(path) for path in files]})
    write_shard(folder / "shard.h5", catalog, Images(size=STORED), 1)
    count = len(files)
    return Examples(
        metadata=np.zeros((count, 3), np.float32),
        targets=np.zeros(count, np.float32),
        diagnoses=np.full(count, -1),
        store=ImageStore(folder / "shard.h5"),
        rows=np.arange(count),
        output_size=SEEN,
    )


def measured_recipe() -> Recipe:
    """Return the recipe of the measurement."""
    model = {
        "network": "baseline_cnn",
        "batch_size": BATCH,
        "augmentation": AUGMENTATION,
        "sampling": {"name": "none"},
    }
    return Recipe.model_validate(model)


def workflow_batches(examples: Examples, recipe: Recipe, epoch: int) -> Iterator[torch.Tensor]:
    """Yield the batches of an epoch as the network reads them."""
    dataset = EpochBatches(examples, recipe, epoch)
    for batch in Prefetch(threads=0, pinned=False).stream(dataset, range(len(dataset))):
        yield to_device(batch, CPU)[0]


def torchvision_batches(files: Files, epoch: int) -> Iterator[torch.Tensor]:
    """Yield the batches of a shuffled DataLoader."""
    generator = torch.Generator().manual_seed(epoch)
    yield from DataLoader(files, batch_size=BATCH, shuffle=True, num_workers=0, generator=generator)


def measured(examples: Examples, files: list[Path]) -> dict[str, float]:
    """Return ms per image of both loaders, of each part of ours, and of the lower bounds."""
    sources, epochs = Files(files), iter(range(1, 1000))
    recipe = measured_recipe()
    transforms = random_transforms(recipe.augmentation, 1, 0, np.arange(BATCH), STORED, SEEN)
    rows = np.random.default_rng(0).permutation(len(files))[:BATCH]
    pixels = examples.store.read(rows)
    copy, batch = np.empty_like(pixels), EpochBatches(examples, recipe, 0)[0]
    warped = np.empty((SEEN, SEEN, 3), np.uint8)
    warped_images = warp(pixels, transforms.affine, SEEN)
    always = {name: Augmentation.model_validate({name: {"probability": 1.0}}) for name in PIXELWISE}
    flags = {"flags": cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REFLECT_101}

    def plain_warp() -> None:
        for image, transform in zip(pixels, transforms.affine, strict=True):
            cv2.warpAffine(image, transform, (SEEN, SEEN), dst=warped, **flags)

    parts = medians(
        {
            "read with checksum": lambda: examples.store.read(rows, copy),
            "augmentation transforms": lambda: random_transforms(
                recipe.augmentation, 1, next(epochs), np.arange(BATCH), STORED, SEEN
            ),
            "our warp": lambda: warp(pixels, transforms.affine, SEEN),
            "colors": lambda: to_device(batch, CPU),
            "copy": lambda: np.copyto(copy, pixels),
            "cv2.warpAffine": plain_warp,
        }
        | {name: partial(apply_pixelwise, warped_images, always[name], 1, 0, np.arange(BATCH)) for name in PIXELWISE},
        3 * REPEATS,
    )
    whole = medians(
        {
            "ours": lambda: [images.shape for images in workflow_batches(examples, recipe, next(epochs))],
            "theirs": lambda: [images.shape for images in torchvision_batches(sources, next(epochs))],
        },
        REPEATS,
    )
    per_batch = {name: value / BATCH for name, value in parts.items()}
    return per_batch | {name: value / len(files) for name, value in whole.items()}


def main() -> None:
    """Measure and write the tables."""
    options = parser(__doc__)
    options.add_argument("--images", type=Path, help="folder of JPEGs; default: drawn lesions")
    options.add_argument("--output", type=Path, required=True, help="table to write, Markdown")
    args = options.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = stored_jpegs(args.images, Path(folder))
        took = measured(training_examples(Path(folder), files), files)
    floor = took["copy"] + took["cv2.warpAffine"]
    best = took["copy"] + took["our warp"]
    whole = [
        ["ours", f"{took['ours']:.2f}", f"{1e3 / took['ours']:.0f}", "1"],
        ["torchvision v2 over JPEGs", f"{took['theirs']:.2f}", f"{1e3 / took['theirs']:.0f}", "**%.1f**"],
        ["lower bound: copy + cv2.warpAffine", f"{floor:.2f}", f"{1e3 / floor:.0f}", "**%.2f**"],
        ["lower bound: copy + our warp", f"{best:.2f}", f"{1e3 / best:.0f}", "%.2f"],
    ]
    for row, value in zip(whole[1:], (took["theirs"], floor, best), strict=True):
        row[3] %= value / took["ours"]
    names = (
        "read with checksum",
        "augmentation transforms",
        "our warp",
        "colors",
        *PIXELWISE,
        "copy",
        "cv2.warpAffine",
    )
    text = [
        "# Loading of training batches\n",
        conditions(f"one thread, median CPU time of {REPEATS} epochs of {IMAGES} images, in turns"),
        f"Shuffled batches of {BATCH} images of {STORED} px, augmented to {SEEN} px, float32, ready for the network.\n",
        markdown(["loader", "ms per image", "images per second", "time / ours"], whole),
        "Parts and lower bounds. The recipe above has no hair, blur and cutout; here they change every image.\n",
        markdown(["part", "ms per image"], [[name, f"{took[name]:.3f}"] for name in names]),
    ]
    publish(args.output, *text)


def stored_jpegs(images: Path | None, folder: Path) -> list[Path]:
    """Write JPEGs of the stored size and return their paths."""
    sources = sorted(images.iterdir())[:IMAGES] if images else [None] * IMAGES
    files = []
    for number, source in enumerate(sources):
        if source is None:
            pixels = draw_photograph(np.random.default_rng(number), (STORED, STORED), 0.0)[..., ::-1]
        else:
            pixels = cv2.resize(cv2.imread(str(source)), (STORED, STORED), interpolation=cv2.INTER_AREA)
        files.append(folder / f"i{number:03d}.jpg")
        cv2.imwrite(str(files[-1]), pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])
    return files


if __name__ == "__main__":
    main()
