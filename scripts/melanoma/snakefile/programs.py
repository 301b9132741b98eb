"""Which programs the jobs find: this interpreter, and those of the cluster profiles before the cluster's own."""

import os
import shutil
import sys
from pathlib import Path


def find_programs(profiles: Path) -> None:
    """Let this process and every job find `python` and the programs of `profiles`, whatever folder it is in."""
    # The interpreter that runs now, even where its environment was never activated.
    find_first(Path(sys.executable).parent)
    find_first(profiles / "hoffman2" / "bin")
    os.environ.setdefault("SNAKEMAKE_SLURM_PARTITIONS", str(profiles / "slurm" / "partitions.yaml"))
    # Slurm's plugin does not understand all answers of these two.
    for program in ("squeue", "sacct"):
        if shutil.which(program):
            find_first(profiles / "slurm" / "bin" / program)


def find_first(folder: Path) -> None:
    """Let the programs in `folder` be found before others of the same name, here and in every job."""
    others = [path for path in os.environ["PATH"].split(os.pathsep) if path != str(folder)]
    os.environ["PATH"] = os.pathsep.join([str(folder), *others])
