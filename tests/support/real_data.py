"""Finds the real ISIC images and tables that some tests use; they are no part of the project."""

import os
from pathlib import Path

import pytest

from project import ROOT

FOLDER = Path(os.environ.get("ISIC_DATA", ROOT.parent / "shared" / "data"))


def real_data(name: str) -> Path:
    """Return the path of `name` in the folder of real data, or skip the test where it is not there.

    The folder is $ISIC_DATA, else ../shared/data beside the checkout.
    """
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"{path} not found: set ISIC_DATA to the folder of real ISIC data")
    return path
