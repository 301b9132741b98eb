"""The environment: packages of other versions, and missing ones."""

import os
import subprocess
import sys
from importlib.metadata import version

from melanoma.doctor.environment import can_go_on, check_environment
from project import ROOT, SCRIPTS


def check(tmp_path, text):
    lock = tmp_path / "requirements.lock"
    lock.write_text(text)
    return check_environment(lock)


def test_this_environment_is_that_of_the_lock_file():
    (finding,) = check_environment(ROOT / "envs" / "requirements.lock")
    assert finding.level == "ok" and can_go_on([finding])


def test_another_version_is_named_with_the_command_that_installs_the_right_one(tmp_path):
    (finding,) = check(tmp_path, "pyyaml==0.1 \\\n    --hash=sha256:0\n")
    assert finding.level == "FAULT" and f"pyyaml {version('pyyaml')} (expected 0.1)" in finding.text
    assert "make install" in finding.cure and can_go_on([finding])


def test_a_missing_package_stops_the_other_checks(tmp_path):
    (finding,) = check(tmp_path, "no-such-package==1 \\\n")
    assert "missing packages: no-such-package" in finding.text and "activate" in finding.cure
    assert not can_go_on([finding])


def test_a_package_of_another_system_is_not_missed(tmp_path):
    (finding,) = check(tmp_path, "no-such-package==1 ; sys_platform == 'win32' \\\npyyaml==" + version("pyyaml"))
    assert finding.level == "ok" and "all 1 packages" in finding.text


def test_without_any_package_the_script_still_says_what_to_do(tmp_path):
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-S", SCRIPTS / "doctor.py"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and ". .venv/bin/activate" in done.stdout, done.stderr
