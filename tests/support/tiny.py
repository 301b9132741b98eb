"""A tiny study for tests of training: images of a few pixels whose brightness tells the class, patients, metadata."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd

from melanoma.common.files import write_yaml
from melanoma.config.augmentation import Augmentation
from melanoma.config.facts import training_recipe
from melanoma.config.recipe import Recipe

SIZE = 32


def recipe(**changes: Any) -> Recipe:
    """Return a recipe of a small network, with `changes`."""
    small = {
        "network": "baseline_cnn",
        "baseline_cnn": {
            "channels": [4, 8],
            "kernels": [3, 3],
            "padding": "same",
            "pooling": "average",
            "hidden": [8],
        },
        "metadata": {"widths": [8], "dropout": 0.2},
        "epochs": 3,
        "batch_size": 8,
        "checkpoint_batches": 2,
        "augmentation": {
            "flip_horizontal": 0.5,
            "affine": {"probability": 0.5, "rotate": 30, "shift": 0.1},
            "brightness_contrast": {"probability": 0.5, "brightness": 0.1, "contrast": 0.1},
            "noise": {"probability": 0.2},
        },
    }
    return Recipe.model_validate(small | changes)


def write_recipe(path: Path, **changes: Any) -> None:
    """Write the recipe with `changes` as the workflow writes it."""
    write_yaml(path, training_recipe(recipe(**changes)))


def augmentation(**only: Any) -> Augmentation:
    """Return an augmentation that does `only` this."""
    return Augmentation.model_validate(only)


def table(count: int = 60, seed: int = 0) -> pd.DataFrame:
    """Return `count` training rows: a quarter melanomas, three folds, some values missing."""
    draw = np.random.default_rng(seed)
    target = (np.arange(count) % 4 == 0).astype(np.int8)
    age = np.where(draw.random(count) < 0.1, np.nan, draw.integers(20, 90, count) + 10.0 * target)
    return pd.DataFrame(
        {
            "row": np.arange(count),
            "image": [f"ISIC_{number:07d}" for number in range(count)],
            "patient": [f"IP_{number // 2}" for number in range(count)],
            "lesion": pd.Series([None] * count, dtype="str"),
            "sex": pd.Series(draw.choice(["male", "female", None], count), dtype="str"),
            "age": age,
            "site": pd.Series(draw.choice(["torso", "head/neck", None], count), dtype="str"),
            "diagnosis": pd.Series(np.where(target, "melanoma", "nevus"), dtype="str"),
            "source": "tiny",
            "target": target,
            "fold": (np.arange(count) // 2 % 3).astype(np.int8),
        }
    )


def write_store(path: Path, rows: pd.DataFrame, seed: int = 0) -> Path:
    """Write an image store of the rows' images: melanomas are darker."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 120, (len(rows), SIZE, SIZE, 3))
    images[rows["target"].to_numpy() == 0] += 100
    return write_pixels(path, images.astype(np.uint8), rows["image"].to_list(), f"tiny-{seed}")


def write_pixels(path: Path, images: np.ndarray, names: list[str], digest: str) -> Path:
    """Write an image store of `images`, uint8 (N, S, S, 3), with their names."""
    size = images.shape[1]
    with h5py.File(path, "w", track_order=True) as file:
        file.create_dataset("images", data=images, chunks=(1, size, size, 3), fletcher32=True, track_times=False)
        file.create_dataset("image", data=names, dtype=h5py.string_dtype(), track_times=False)
        file.attrs.update({"size": size, "fit": "center_crop", "color": "RGB", "digest": digest})
        file.attrs.update({"crop_border": "False", "color_constancy": "none"})
    return path
