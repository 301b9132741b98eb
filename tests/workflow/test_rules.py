"""Retries and default resources of the rules and profiles."""

import re

import pytest
import yaml

from project import ROOT

PROFILES = ROOT / "profiles"
RULES = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))


def test_the_profile_that_every_run_reads_sets_one_option():
    profile = yaml.safe_load((PROFILES / "default/config.yaml").read_text())
    assert set(profile) == {"__use_yte__", "__definitions__", "rerun-incomplete"}


def test_no_rule_retries_by_itself():
    """Retries of a rule and of a profile would multiply."""
    assert not re.search(r"^    retries:", RULES, re.MULTILINE)


@pytest.mark.parametrize("profile", ["slurm", "hoffman2"])
def test_a_job_whose_rule_asks_for_nothing_gets_memory_and_time_and_no_gpu(profile):
    """The Slurm plugin takes a GPU for granted where the profile names a model and the job no number."""
    asked = yaml.safe_load((PROFILES / profile / "config.yaml").read_text())["default-resources"]
    defaults = dict(item.split("=", 1) for item in asked)
    assert "attempt" in defaults["mem_mb"] and "attempt" in defaults["runtime"]
    assert defaults["gpu"] == "0"
