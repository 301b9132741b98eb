"""The packages of the library import downwards only."""

import ast
from pathlib import Path

LIBRARY = Path(__file__).parents[1] / "scripts" / "melanoma"
# From the bottom to the top: a package imports those of the rows above its own.
LAYERS = (
    {"common"},
    {"config", "data", "images", "stats", "compute"},
    {"snakefile", "split", "augment", "predictions"},
    {"models"},
    {"training", "fusion"},
    {"evaluation"},
    {"report"},
)
LEVEL = {package: level for level, packages in enumerate(LAYERS) for package in packages}


def imported(file: Path) -> set[str]:
    """Return the packages of the library that a module imports."""
    nodes = list(ast.walk(ast.parse(file.read_text())))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return {name.split(".")[1] for name in names if name.startswith("melanoma.")}


def test_every_package_has_its_place():
    assert {path.name for path in LIBRARY.iterdir() if (path / "__init__.py").exists()} == set(LEVEL)
    assert {path.name for path in LIBRARY.glob("*.py")} == {"__init__.py"}


def test_a_package_imports_those_below_it_alone():
    for file in LIBRARY.rglob("*.py"):
        package = file.relative_to(LIBRARY).parts[0]
        upwards = {other for other in imported(file) - {package} if LEVEL[other] >= LEVEL[package]}
        assert not upwards or package == "__init__.py", f"{file} imports {upwards}"


def test_a_package_is_small_enough_to_be_known():
    for package in LEVEL:
        modules = [path for path in (LIBRARY / package).glob("*.py") if path.name != "__init__.py"]
        assert len(modules) <= 12, package
