"""Which programs jobs find first."""

import os
import sys
from pathlib import Path

import pytest

from melanoma.snakefile.programs import find_programs


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SNAKEMAKE_SLURM_PARTITIONS", "")
    monkeypatch.delenv("SNAKEMAKE_SLURM_PARTITIONS")
    return tmp_path


def test_this_python_and_the_profiles_programs_are_found_before_others(profiles, tmp_path):
    find_programs(profiles)
    assert os.environ["PATH"] == os.pathsep.join(
        [str(profiles / "hoffman2/bin"), str(Path(sys.executable).parent), str(tmp_path)]
    )
    assert os.environ["SNAKEMAKE_SLURM_PARTITIONS"] == str(profiles / "slurm/partitions.yaml")


def test_only_programs_that_the_cluster_has_are_wrapped_and_own_partitions_stay(profiles, tmp_path, monkeypatch):
    (tmp_path / "squeue").touch(mode=0o755)
    monkeypatch.setenv("SNAKEMAKE_SLURM_PARTITIONS", "mine.yaml")
    find_programs(profiles)
    folders = os.environ["PATH"].split(os.pathsep)
    assert folders[0] == str(profiles / "slurm/bin/squeue")
    assert str(profiles / "slurm/bin/sacct") not in folders
    assert os.environ["SNAKEMAKE_SLURM_PARTITIONS"] == "mine.yaml"
