"""Digests of the code that a job's result depends on."""

import ast
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from melanoma.common.errors import InputError
from melanoma.common.files import read_json, sha256, write_json

# Modules that decide messages, and when a job stops, but no result.
WITHOUT_RESULTS = {"causes", "cli", "compiled_code", "errors", "preemption", "job_logs"}
# Keywords of argparse and pydantic whose values are texts for people.
TEXTS = {"help", "description", "examples", "metavar", "epilog"}
# What earlier runs of Snakemake in this folder have read of modules. Without it, a dry run takes a fifth longer.
MODULES = Path(".snakemake/melanoma/modules.json")
# The params of a rule, as functions of its wildcards and output.
Params = dict[str, Callable[..., str]]


def script_param(scripts: str, name: str) -> Params:
    """Return the path of a script in `scripts` as a param. Snakemake does not compare it, so that a clone may move."""
    return {"script": lambda wildcards, output: f"{scripts}/{name}.py"}


def code_params(scripts: str, name: str) -> Params:
    """Return the path of a script and the digest of its code as params. A change of the digest reruns the jobs."""
    return script_param(scripts, name) | {"code": lambda wildcards: code_digest(f"{scripts}/{name}.py")}


@cache
def code_digest(script: str) -> str:
    """Return a hash of the code that decides a script's results, 16 hexadecimal digits.

    The hash covers the syntax trees of the script and of all local modules that it imports. It leaves out comments,
    docstrings, messages and the modules of WITHOUT_RESULTS, which change no result.
    """
    files = [file for file in local_imports(Path(script)) if file.stem not in WITHOUT_RESULTS]
    digests = "".join(_module(file).digest for file in files)
    _known().keep()
    return sha256(digests.encode())[:16]


def file_digest(files: Iterable[Path]) -> str:
    """Return a hash of the content of files, 16 hexadecimal digits."""
    return sha256(b"".join(sha256(file.read_bytes()).encode() for file in files))[:16]


def local_imports(script: Path) -> list[Path]:
    """Return `script`, then the sorted files of every local module that it imports, directly or not.

    The imports are read from the syntax trees. No code runs.
    """
    found = {script}
    waiting = [script]
    while waiting:
        for module in _imports(waiting.pop(), script.parent):
            if module not in found:
                found.add(module)
                waiting.append(module)
    return [script, *sorted(found - {script})]


@cache
def _imports(file: Path, root: Path) -> tuple[Path, ...]:
    names = [name.split(".") for name in _module(file).imported]
    candidates = (root.joinpath(*name) for name in names if name[0] in _local_names(root))
    return tuple(path for candidate in candidates for path in _module_files(candidate))


@cache
def _local_names(root: Path) -> set[str]:
    return {path.stem for path in root.iterdir()}


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield every statement at any depth. Expressions, most of the tree, have no imports and are skipped."""
    blocks: list[ast.AST] = [tree]
    while blocks:
        block = blocks.pop()
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            inner = getattr(block, field, ())
            if isinstance(inner, list):
                blocks += inner
        if isinstance(block, ast.stmt):
            yield block


class _Module(NamedTuple):
    """The hash of a module's name and of its code without texts for people, and the names that it imports."""

    digest: str
    imported: list[str]


class _Known:
    """The modules that were read before, by their names and contents, and by the code that read them."""

    def __init__(self) -> None:
        self.modules: dict[str, _Module] = {}
        self.new = False
        self.reader = sha256(Path(__file__).read_bytes())
        with suppress(OSError, InputError, KeyError, TypeError):
            kept = read_json(MODULES)
            if kept["reader"] == self.reader:
                self.modules = {key: _Module(*module) for key, module in kept["modules"].items()}

    def module(self, file: Path) -> _Module:
        """Return what there is to know about the module in `file`."""
        text = file.read_text()
        key = f"{file.stem} {sha256(text.encode())}"
        if key not in self.modules:
            self.modules[key], self.new = _read_module(file.stem, ast.parse(text, filename=str(file))), True
        return self.modules[key]

    def keep(self) -> None:
        """Write what is new to MODULES, if that can be written."""
        if self.new:
            with suppress(OSError, InputError):
                write_json(MODULES, {"reader": self.reader, "modules": self.modules})
            self.new = False


@cache
def _known() -> _Known:
    return _Known()


@cache
def _module(file: Path) -> _Module:
    return _known().module(file)


def _read_module(name: str, tree: ast.Module) -> _Module:
    parts = [name]
    _write_meaning(tree, parts)
    imported = {name for statement in _statements(tree) for name in _imported_names(statement)}
    return _Module(sha256("\0".join(parts).encode()), sorted(imported))


def _write_meaning(node: Any, parts: list[str]) -> None:
    """Append a syntax tree to `parts`, without texts for people. Every version of Python gives the same."""
    if isinstance(node, list):
        parts.append("[")
        for item in node:
            if not _is_text(item):
                _write_meaning(item, parts)
        parts.append("]")
    elif not isinstance(node, ast.AST):
        parts.append(repr(node))
    elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        parts.append("Raise")
        _write_meaning(node.exc.func, parts)
    elif not (isinstance(node, ast.keyword) and node.arg in TEXTS):
        parts.append(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            # The context follows from the place. Empty parts are left out: older versions of Python lack some of them.
            if name != "ctx" and value is not None and value != []:
                parts.append(name)
                _write_meaning(value, parts)
        parts.append(")")


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


def _module_files(candidate: Path) -> Iterator[Path]:
    if candidate.with_suffix(".py").is_file():
        yield candidate.with_suffix(".py")
    if (candidate / "__init__.py").is_file():
        yield candidate / "__init__.py"
