"""The rules and profiles as they are written: what all of them keep to."""

import re

import yaml

from workflow import ROOT

PROFILES = ROOT / "profiles"
RULES = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))


def test_the_snakefile_names_the_stages_and_nothing_else():
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 50


def test_every_rule_named_in_a_profile_exists():
    rules = set(re.findall(r"^rule (\w+):", RULES, re.MULTILINE))
    for folder in PROFILES.iterdir():
        profile = yaml.safe_load((folder / "config.yaml").read_text())
        for key in ("set-resources", "set-threads"):
            assert set(profile.get(key, {})) <= rules


def test_no_profile_is_loaded_by_default():
    assert not (PROFILES / "default").exists()


def test_no_rule_retries_by_itself():
    """Retries of a rule and of a profile would multiply."""
    assert not re.search(r"^    retries:", RULES, re.MULTILINE)


def test_a_job_that_is_tried_again_asks_for_more_memory_and_time_but_for_a_models_which_its_recipe_states():
    local = set(re.findall(r"\w+", " ".join(re.findall(r"^localrules:\n((?:    .*\n)+)", RULES, re.MULTILINE))))
    rules = dict(re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", RULES, re.MULTILINE | re.DOTALL))
    assert len(rules) > 15
    for name, body in rules.items():
        if name not in local and "threads: asked" not in body:
            assert "mem_mb=growing(" in body and "runtime=growing(" in body, name
