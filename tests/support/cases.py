"""Finds the small tables and files that people really have; they are no part of the project."""

import os
from pathlib import Path

import pytest

from project import ROOT

FOLDER = Path(os.environ.get("ISIC_CASES", ROOT.parent / "shared" / "cases"))
CASES = FOLDER if FOLDER.exists() else None
needs_cases = pytest.mark.skipif(CASES is None, reason=f"{FOLDER} not found: set ISIC_CASES to the folder of cases")
