"""The files that figures read."""

from pathlib import Path

import pytest

from finished_study import write_study


@pytest.fixture(scope="package")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_study(tmp_path_factory.mktemp("study"))
