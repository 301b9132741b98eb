"""The environment: Python, and the version of each package of the lock file. It imports nothing that may be missing."""

import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from melanoma.doctor.findings import Finding, fault, ok

SUBJECT = "environment"
PIN = re.compile(r"^([\w.-]+)==(\S+)(?: ; ([^\\\n]+))?", re.MULTILINE)
SHOWN = 5


def check_environment(lock: Path) -> list[Finding]:
    """Compare the installed packages with those of a lock file of pip."""
    try:
        from packaging.markers import Marker
        from packaging.version import Version
    except ImportError:
        return [_missing(["packaging"], "and maybe all others")]
    missing, others, count = [], [], 0
    for name, pinned, marker in PIN.findall(lock.read_text()):
        if marker and not Marker(marker.strip()).evaluate():
            continue
        count += 1
        try:
            installed = version(name)
        except PackageNotFoundError:
            missing.append(name)
            continue
        # A build such as 2.15.0+cu126 is the version 2.15.0 for another CUDA.
        if Version(installed).public != Version(pinned).public:
            others.append(f"{name} {installed} (expected {pinned})")
    findings = [_missing(missing, f"of {count}")] if missing else []
    if others:
        cure = "`make install` installs the expected versions into .venv; activate it by `. .venv/bin/activate`"
        text = f"other versions than in {lock.name}, so results may differ: {_some(others)}"
        findings.append(fault(SUBJECT, text, cure))
    good = f"Python {platform.python_version()}, and all {count} packages of {lock.name} in their versions"
    return findings or [ok(SUBJECT, good)]


def can_go_on(findings: list[Finding]) -> bool:
    """Tell whether no package is missing, so that the other checks can be imported."""
    return not any("missing packages" in finding.text for finding in findings)


def _missing(names: list[str], more: str) -> Finding:
    cure = "activate the environment by `. .venv/bin/activate`; if there is none, `make install` first"
    return fault(SUBJECT, f"missing packages: {_some(names)} {more}", cure)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
