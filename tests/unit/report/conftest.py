"""The files that figures and report read."""

from pathlib import Path

import pytest

from finished_study import draw, write_study


@pytest.fixture(scope="package")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_study(tmp_path_factory.mktemp("study"))
    draw(folder, "data", folder / "figures")
    return folder
