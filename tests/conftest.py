"""Settings that every test shares."""

import gc
import os
import shutil

import pytest
from hypothesis import settings

from effort import drawn
from workflow import LABELS, TINY_EXTERNAL, USER, clone, failing, planted_user, snakemake, unreadable

# Tests run side by side, one on each core: more threads than one would only wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Tests start hundreds of processes, which would compile the code again and again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# A first import can take seconds, which is no fault of the example that happens to cause it.
settings.register_profile("workflow", deadline=None, max_examples=drawn(25, 500))
# In CI the examples are the same each time, so that a change fails by what it changes; elsewhere they are new ones.
settings.register_profile("workflow in CI", settings.get_profile("workflow"), derandomize=True)
settings.load_profile("workflow in CI" if "CI" in os.environ else "workflow")


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what was imported and collected: it stays to the end."""
    gc.freeze()


def pytest_sessionfinish() -> None:
    """Let the collector find all again: some libraries report what it does not find at the end as a leak."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def blind(tmp_path_factory):
    """A clone in the home of USER in which the tiny study has run as far as it can without the labels of the test."""
    folder = tmp_path_factory.mktemp(USER) / "project"
    folder.mkdir()
    with planted_user(folder.parent):
        snakemake(clone(folder), LABELS, "--cores", 2, *TINY_EXTERNAL)
        with unreadable(folder / LABELS):
            return folder, failing(folder, "--cores", 2, "--keep-going", *TINY_EXTERNAL)


@pytest.fixture(scope="session")
def finished(blind):
    """A clone in which the tiny study has run to its report, and what was printed. No test changes it."""
    folder, _ = blind
    with planted_user(folder.parent):
        printed = snakemake(folder, "--cores", 2, *TINY_EXTERNAL)
    return folder, printed


@pytest.fixture
def finished_copy(finished, tmp_path):
    """A copy of the finished study, for a test that changes it."""
    return shutil.copytree(finished[0], tmp_path / "copy", symlinks=True)
