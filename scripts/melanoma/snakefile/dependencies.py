"""What a job's result depends on besides its data: the project's own code."""

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from melanoma.common.files import sha256

# Modules that decide what is said and when a job stops, but no result.
WITHOUT_RESULTS = {"causes", "cli", "errors", "preemption", "job_logs"}
# Keywords of argparse and pydantic that are texts for people.
TEXTS = {"help", "description", "examples", "metavar", "epilog"}


def script_param(scripts: str, name: str) -> dict[str, Any]:
    """Return the path of a script in `scripts` as a param that Snakemake does not compare: a clone may move."""
    return {"script": lambda wildcards, output: f"{scripts}/{name}.py"}


def code_params(scripts: str, name: str) -> dict[str, Any]:
    """Return the path of a script and the digest of its code, as params: an edit reruns what it changes."""
    return script_param(scripts, name) | {"code": lambda wildcards: code_digest(f"{scripts}/{name}.py")}


@cache
def code_digest(script: str) -> str:
    """Return a hash of the code that decides what a script computes, 16 hexadecimal digits.

    It is of the syntax trees of the script and of all local modules that it imports, without comments, docstrings,
    messages and the modules of WITHOUT_RESULTS: an edit of those changes no result.
    """
    files = [file for file in local_imports(Path(script)) if file.stem not in WITHOUT_RESULTS]
    return sha256("".join(_meaning_of(file) for file in files).encode())[:16]


def file_digest(files: Iterable[Path]) -> str:
    """Return a hash of the content of files, 16 hexadecimal digits."""
    return sha256(b"".join(sha256(file.read_bytes()).encode() for file in files))[:16]


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


@cache
def _imports_of(file: Path, root: Path) -> tuple[Path, ...]:
    names = {name for statement in _statements(_tree(file)) for name in _imported_names(statement)}
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


@cache
def _tree(file: Path) -> ast.Module:
    return ast.parse(file.read_text(), filename=str(file))


@cache
def _meaning_of(file: Path) -> str:
    """Return a hash of a module's name and of its code without the texts that are for people."""
    return sha256(f"{file.stem}\0{_meaning(_tree(file))}".encode())


def _meaning(node: Any) -> Any:
    """Return a syntax tree as nested tuples: the same in every Python, and without texts for people."""
    if isinstance(node, list):
        return tuple(_meaning(item) for item in node if not _is_text(item))
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return ("Raise", _meaning(node.exc.func))
    if isinstance(node, ast.keyword) and node.arg in TEXTS:
        return ()
    # Absent parts are left out, as older Pythons do not know all of them.
    parts = ((name, value) for name, value in ast.iter_fields(node) if value is not None and value != [])
    return (type(node).__name__, *((name, _meaning(value)) for name, value in parts))


def _is_text(node: Any) -> bool:
    """Tell whether a statement is a docstring, or writes to the log or the screen."""
    if not isinstance(node, ast.Expr):
        return False
    if isinstance(node.value, ast.Constant):
        return True
    called = node.value.func if isinstance(node.value, ast.Call) else None
    to_log = isinstance(called, ast.Attribute) and isinstance(called.value, ast.Name) and called.value.id == "log"
    return to_log or (isinstance(called, ast.Name) and called.id == "print")


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
