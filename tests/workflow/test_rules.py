"""The rules and profiles as they are written: what all of them keep to."""

import re

import pytest
import yaml

from project import ROOT

PROFILES = ROOT / "profiles"
RULES = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
NAMES = re.findall(r"^ *(?:use rule \w+ as|rule) (\w+)(?: with)?:", RULES, re.MULTILINE)


def test_the_snakefile_includes_every_rule_file_and_has_no_rule_but_the_target():
    text = (ROOT / "Snakefile").read_text()
    assert re.findall(r'^include: "rules/(\w+\.smk)"', text, re.MULTILINE)[0] == "common.smk"
    included = set(re.findall(r'^include: "rules/(\w+\.smk)"', text, re.MULTILINE))
    assert included == {path.name for path in (ROOT / "rules").glob("*.smk")}
    assert re.findall(r"^rule (\w+):", text, re.MULTILINE) == ["all"]


def unknown_rules(profile: dict) -> set[str]:
    """The rules that a profile names and that do not exist: Snakemake would say nothing."""
    return {name for key in ("set-resources", "set-threads") for name in profile.get(key, {})} - set(NAMES)


def test_every_rule_named_in_a_profile_exists():
    assert unknown_rules({"set-threads": {"train_fold": 2}, "set-resources": {"train_folds": {"mem_mb": 1}}}) == {
        "train_folds"
    }
    for folder in PROFILES.iterdir():
        assert not unknown_rules(yaml.safe_load((folder / "config.yaml").read_text()))


def test_no_profile_is_loaded_by_default():
    assert not (PROFILES / "default").exists()


def test_no_rule_retries_by_itself():
    """Retries of a rule and of a profile would multiply."""
    assert not re.search(r"^    retries:", RULES, re.MULTILINE)


def test_another_try_of_a_job_asks_for_more_memory_and_time_except_for_a_model():
    blocks = re.findall(r"^    resources:\n((?:        .*\n)+)", RULES, re.MULTILINE)
    assert len(blocks) >= 6
    for block in blocks:
        assert "**growing(mem_mb=" in block or "_JOB" in block


@pytest.mark.parametrize("profile", ["slurm", "hoffman2"])
def test_a_job_whose_rule_asks_for_nothing_gets_memory_and_time_and_no_gpu(profile):
    """The Slurm plugin takes a GPU for granted where the profile names a model and the job no number."""
    asked = yaml.safe_load((PROFILES / profile / "config.yaml").read_text())["default-resources"]
    defaults = dict(item.split("=", 1) for item in asked)
    assert "attempt" in defaults["mem_mb"] and "attempt" in defaults["runtime"]
    assert defaults["gpu"] == "0"
