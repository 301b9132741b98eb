"""A real Slurm and a real Grid Engine for these tests, which install, start, stop and remove them as root."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from on_cluster import copied, one_at_a_time, prepared
from project import ROOT
from workflow import SNAKEMAKE

HERE = Path(__file__).parent
APT = Path(tempfile.gettempdir()) / "cluster-tests-apt.lock"
GRID_ENGINE = {
    "SGE_ROOT": "/var/lib/gridengine",
    "SGE_CELL": "default",
    "SGE_QMASTER_PORT": "6444",
    "SGE_EXECD_PORT": "6445",
    "SGE_STATUS_GRACE": "10",
    "SGE_LOST_GRACE": "10",
}


def brought_up(engine: str, program: str) -> Iterator[None]:
    """Bring an engine up, and take it down and its packages away if they were not there before."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        pytest.skip(f"{engine} is installed by apt-get as root, which is not possible here")
    was_there = shutil.which(program) is not None
    with one_at_a_time(APT):
        started = subprocess.run([HERE / f"{engine}-up.sh"], capture_output=True, text=True, timeout=300)
    assert started.returncode == 0, started.stdout + started.stderr
    yield
    if not was_there:
        with one_at_a_time(APT):
            subprocess.run([HERE / f"{engine}-down.sh", "--purge"], timeout=300, check=True)


@pytest.fixture(scope="session")
def slurm() -> Iterator[None]:
    yield from brought_up("slurm", "slurmctld")


@pytest.fixture(scope="session")
def grid_engine() -> Iterator[None]:
    os.environ |= GRID_ENGINE
    yield from brought_up("sge", "qsub")


@pytest.fixture(scope="session")
def reference(tmp_path_factory) -> Path:
    """A clone where this machine alone, no scheduler, has made what every test compares with."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # one for all workers
        folder = folder.parent
    return prepared(folder / "reference")


@pytest.fixture(scope="session")
def demo() -> Path:
    """This checkout, where `make demo` is made or found made: what the schedulers' demo studies are compared with."""
    with one_at_a_time(APT.with_name("cluster-tests-demo.lock")):
        command = [SNAKEMAKE, "--cores", "all", "--rerun-incomplete", "--quiet", "all"]
        subprocess.run(command, cwd=ROOT, check=True, timeout=1200)
    return ROOT


@pytest.fixture
def project(reference, tmp_path) -> Path:
    return copied(reference, tmp_path)
