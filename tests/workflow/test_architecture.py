"""The packages of the library import only packages below them, and the unit tests mirror them."""

import ast
from pathlib import Path

from project import ROOT

LIBRARY = ROOT / "scripts" / "melanoma"
TESTS = ROOT / "tests"
# From the bottom to the top: a package imports those of the rows above its own.
LAYERS = (
    {"common"},
    {"config", "stats", "tables"},
    {"sources", "demo", "downloads", "images", "compute"},
    {"data", "augment"},
    {"snakefile", "split", "predictions"},
    {"models", "data_check", "device"},
    {"training", "fusion"},
    {"evaluation", "explain"},
    {"bundle"},
    {"report", "figures", "classify", "doctor", "comparison"},
    {"tracking"},
)
LEVEL = {package: level for level, row in enumerate(LAYERS) for package in row}


def modules(file: Path) -> set[str]:
    """Return the names of the modules that a file imports."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return names | {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}


def packages(file: Path) -> set[str]:
    """Return the packages of the library that a file imports."""
    return {name.split(".")[1] for name in modules(file) if name.startswith("melanoma.")}


def test_every_package_has_its_place():
    assert {path.name for path in LIBRARY.iterdir() if (path / "__init__.py").exists()} == set(LEVEL)
    assert {path.name for path in LIBRARY.glob("*.py")} == {"__init__.py"}


def test_a_package_imports_those_below_it_alone():
    for package in LEVEL:
        for file in (LIBRARY / package).rglob("*.py"):
            upwards = {other for other in packages(file) - {package} if LEVEL[other] >= LEVEL[package]}
            assert not upwards, f"{file} imports {upwards}"


def test_a_package_is_small_enough_to_be_known():
    for package in LEVEL:
        modules = [path for path in (LIBRARY / package).glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 14, package


def test_no_test_imports_another():
    tests = {path.stem for path in TESTS.rglob("test_*.py")}
    for file in TESTS.rglob("*.py"):
        imports = {part for name in modules(file) if not name.startswith("melanoma.") for part in name.split(".")}
        assert not imports & tests, file


def test_each_unit_test_file_is_named_after_a_module_of_its_package():
    for file in (TESTS / "unit").rglob("test_*.py"):
        package = file.parent.relative_to(TESTS / "unit").name
        subjects = [path.stem for path in (LIBRARY / package).glob("*.py") if path.name != "__init__.py"]
        assert any(f"{file.stem}_".startswith(f"test_{subject}_") for subject in subjects), file
