"""The rules and profiles as they are written: what all of them keep to."""

import re

import yaml

from project import ROOT

PROFILES = ROOT / "profiles"
RULES = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))


def test_the_snakefile_includes_every_rule_file_and_has_no_rule_but_the_target():
    text = (ROOT / "Snakefile").read_text()
    assert re.findall(r'^include: "rules/(\w+\.smk)"', text, re.MULTILINE)[0] == "common.smk"
    included = set(re.findall(r'^include: "rules/(\w+\.smk)"', text, re.MULTILINE))
    assert included == {path.name for path in (ROOT / "rules").glob("*.smk")}
    assert re.findall(r"^rule (\w+):", text, re.MULTILINE) == ["all"]


def unknown_rules(profile: dict) -> set[str]:
    """The rules that a profile names and that do not exist: Snakemake would say nothing."""
    rules = set(re.findall(r"^ *rule (\w+):", RULES, re.MULTILINE))
    return {name for key in ("set-resources", "set-threads") for name in profile.get(key, {})} - rules


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
    local = set(re.findall(r"\w+", " ".join(re.findall(r"^localrules:\n((?:    .*\n)+)", RULES, re.MULTILINE))))
    rules = dict(re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", RULES, re.MULTILINE | re.DOTALL))
    assert len(rules) > 15
    for name, body in rules.items():
        if name not in local and "threads: asked" not in body:
            assert "mem_mb=growing(" in body and "runtime=growing(" in body, name
