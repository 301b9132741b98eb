"""The search path of jobs: this Python, and the programs of the profiles before those of the cluster."""

import os
import shutil
import sys
from pathlib import Path


def find_programs(profiles: Path) -> None:
    """Let this process and every job find this `python` and the programs in the folder `profiles`."""
    # The current interpreter, even if its environment is not activated.
    find_first(Path(sys.executable).parent)
    find_first(profiles / "hoffman2" / "bin")
    os.environ.setdefault("SNAKEMAKE_SLURM_PARTITIONS", str(profiles / "slurm" / "partitions.yaml"))
    # Snakemake's Slurm plugin misreads some answers of these two programs.
    for program in ("squeue", "sacct"):
        if shutil.which(program):
            find_first(profiles / "slurm" / "bin" / program)


def find_first(folder: Path) -> None:
    """Put `folder` first in PATH, for this process and every job."""
    others = [path for path in os.environ["PATH"].split(os.pathsep) if path != str(folder)]
    os.environ["PATH"] = os.pathsep.join([str(folder), *others])
