"""The file of explanations of a study: images, their maps of heat, and what is known about them."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from melanoma.common.files import damaged, read_intact, write_checked
from melanoma.explain.importance import Importance

PREFIX = "map "


class Case(TypedDict):
    """An explained test image. `kind` is one of `cases.KINDS`, `probability` that of the model, not calibrated."""

    image: str
    patient: str | None
    target: int
    probability: float
    kind: str


class About(TypedDict):
    """What the images and maps are of. At or above `threshold`, selected by `rule`, the `model` says melanoma."""

    model: str
    rule: str
    threshold: float
    methods: dict[str, str]  # by network
    cases: list[Case]
    importance: dict[str, list[Importance]]  # of each metadata model


@dataclass(frozen=True)
class Explanations:
    """Images uint8 (n, SIDE, SIDE, 3) RGB in the order of `about["cases"]`, and maps uint8 (n, SIDE, SIDE) by network.

    A study without images has none: n is 0.
    """

    images: NDArray[np.uint8]
    maps: dict[str, NDArray[np.uint8]]
    about: About

    def write(self, path: Path) -> None:
        """Write a compressed .npz file without pickle, and its SHA-256 beside it."""
        arrays = {f"{PREFIX}{name}": maps for name, maps in self.maps.items()}
        about = np.array(json.dumps(self.about))
        file = io.BytesIO()
        np.savez_compressed(file, allow_pickle=False, images=self.images, about=about, **arrays)
        write_checked(path, file.getvalue())


def read_explanations(path: Path) -> Explanations:
    """Read a file of `Explanations.write`. Raises InputError if it is damaged."""
    data = io.BytesIO(read_intact(path))
    try:
        with np.load(data, allow_pickle=False) as file:
            maps = {name.removeprefix(PREFIX): file[name] for name in file.files if name.startswith(PREFIX)}
            return Explanations(file["images"], maps, json.loads(str(file["about"])))
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise damaged(path, f"no file of explanations ({error})") from error
