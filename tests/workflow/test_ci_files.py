"""The files that GitHub Actions, pre-commit, the workflow catalog and readers of citations use."""

import subprocess
import tomllib

import pytest
import yaml

from project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def read(name):
    return yaml.safe_load((ROOT / name).read_text())


WORKFLOW = read(".github/workflows/ci.yml")
(JOB,) = WORKFLOW["jobs"].values()
COMMANDS = [step["run"] for step in JOB["steps"] if "run" in step]
HOOKS = [hook["entry"] for repo in read(".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]


@pytest.mark.parametrize("command", COMMANDS + HOOKS)
def test_a_command_of_ci_or_of_a_hook_is_a_target_of_make(command):
    done = subprocess.run([*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True)
    assert command.startswith("make ") and done.returncode == 0, done.stderr


def test_ci_runs_the_demo_before_the_tests_that_read_what_it_leaves():
    targets = [command.split()[1] for command in COMMANDS]
    assert {"lint", "demo", "test"} <= set(targets) and targets.index("demo") < targets.index("test")


def test_ci_begins_with_the_oldest_python_that_is_promised():
    assert PROJECT["project"]["requires-python"] == f">={JOB['strategy']['matrix']['python'][0]}"


def test_the_catalog_names_a_deployment_that_is_there():
    usage = read(".snakemake-workflow-catalog.yml")["usage"]
    assert usage["software-stack-deployment"]["conda"] is True and (ROOT / "envs" / "environment.yaml").exists()
    assert usage["report"] is True and "report:" in (ROOT / "Snakefile").read_text()


def test_the_citation_has_the_required_keys_and_the_projects_version_and_license():
    citation = read("CITATION.cff")
    assert {"cff-version", "message", "title", "authors"} <= set(citation) and citation["cff-version"] == "1.2.0"
    assert {key: citation[key] for key in ("version", "license")} == {
        key: PROJECT["project"][key] for key in ("version", "license")
    }
