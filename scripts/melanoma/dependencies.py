"""What a job's command depends on besides its data: the project's own code, and the interpreter."""

import ast
import os
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path


def local_imports(script: Path) -> list[Path]:
    """Return `script` first, then every module beside it that it imports, directly or not, sorted.

    Read from the syntax tree, so nothing is run. An edit to any of these files can change what the script computes.
    """
    found = {script}
    waiting = [script]
    while waiting:
        for module in _imports_of(waiting.pop(), script.parent):
            if module not in found:
                found.add(module)
                waiting.append(module)
    return [script, *sorted(found - {script})]


def use_this_interpreter() -> None:
    """Let `python` in every job be the one that runs now, even where its environment was never activated."""
    find_first(Path(sys.executable).parent)


def find_first(folder: Path) -> None:
    """Let the programs in `folder` be found before others of the same name, here and in every job."""
    others = [path for path in os.environ["PATH"].split(os.pathsep) if path != str(folder)]
    os.environ["PATH"] = os.pathsep.join([str(folder), *others])


@cache
def _imports_of(file: Path, root: Path) -> tuple[Path, ...]:
    tree = ast.parse(file.read_text(), filename=str(file))
    names = {name for statement in _statements(tree) for name in _imported_names(statement)}
    candidates = (root / Path(*name.split(".")) for name in names)
    return tuple(path for candidate in candidates for path in _files_of(candidate))


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield every statement at any depth, with no look into expressions: no imports are there, but most of the tree."""
    blocks: list[ast.AST] = [tree]
    while blocks:
        block = blocks.pop()
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(block, field, ())
            if isinstance(inner, list):
                blocks += inner
        if isinstance(block, ast.stmt):
            yield block


def _imported_names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
        yield node.module
        yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _files_of(candidate: Path) -> Iterator[Path]:
    if candidate.with_suffix(".py").is_file():
        yield candidate.with_suffix(".py")
    if (candidate / "__init__.py").is_file():
        yield candidate / "__init__.py"
