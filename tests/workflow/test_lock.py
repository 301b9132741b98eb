"""envs/requirements.lock pins every package with hashes, and both installers use it."""

import re

import pytest
import yaml

from project import ROOT

ENVS = ROOT / "envs"
LOCK = (ENVS / "requirements.lock").read_text()
PINS = LOCK.replace("\\\n", "").splitlines()
ASKED = [line.split("#")[0].strip() for line in (ENVS / "requirements.in").read_text().splitlines()]


@pytest.mark.parametrize("pin", PINS, ids=lambda pin: pin.split(" ")[0])
def test_a_package_has_one_version_and_the_hashes_of_its_files(pin):
    assert re.fullmatch(r"[\w.-]+==[\w.!+-]+( ;[^#]+?)?( +--hash=sha256:[0-9a-f]{64})+", pin)


@pytest.mark.parametrize("asked", [line for line in ASKED if line])
def test_what_is_asked_for_is_locked(asked):
    name = re.match(r"[\w-]+", asked).group()
    assert re.search(rf"^{name}==", LOCK, re.MULTILINE)


def test_no_index_is_named():
    assert "://" not in LOCK and "--index-url" not in LOCK


def test_conda_installs_the_lock_file():
    packages = yaml.safe_load((ENVS / "environment.yaml").read_text())["dependencies"]
    assert packages[-1] == {"pip": ["-r requirements.lock"]}
