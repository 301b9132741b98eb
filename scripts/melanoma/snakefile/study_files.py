"""Reads a study from its files, with the errors that Snakemake would show, and finds the paths that were meant.

A study file may come from somebody else, so it is data alone. Snakemake runs the Python code of a file with the key
`__use_yte__`, and repeats what an alias stands for, so such files are refused before Snakemake reads them.
"""

import difflib
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from melanoma.common.errors import InputError
from melanoma.config.study import Study
from melanoma.config.yaml_files import given_study

CODE = "__use_yte__"
MOST_VALUES, MOST_LEVELS = 100_000, 100


def read_study(files: Sequence[Path]) -> Study:
    """Return the study that `--configfile FILES` gives; raise InputError with the file and line of all that is wrong.

    Of several files a later one overrules an earlier one, as in Snakemake.
    """
    config: dict[str, Any] = {}
    for loaded in _loaded(files):
        update_config(config, loaded)
    return given_study(config, files, {}, [])


def stop_if_unreadable(files: Iterable[Path] | None) -> None:
    """Exit with one line if a file after --configfile does not exist or holds no study.

    Snakemake opens these files before it reads the Snakefile, and would print a traceback.
    """
    try:
        list(_loaded(files or ()))
    except InputError as error:
        sys.exit(f"Error: {error}")


def _loaded(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for file in files:
        if not file.is_file():
            raise InputError(f"{file}: no such file{nearest_path(file)}. Correct the path after --configfile")
        yield _content(file)


def nearest_path(path: Path) -> str:
    """Return a question after the existing paths whose names are most like the missing `path`; empty if none is.

    Searched are the folder of the path and the next folder above it that exists.
    """
    parent = next((folder for folder in path.parents if folder.is_dir()), Path())
    missing = path.relative_to(parent).parts[0] if path != parent else path.name
    names = {each.name: each for each in parent.iterdir()}
    names |= {each.stem: each for each in parent.iterdir()}
    near = [names[name] for name in difflib.get_close_matches(missing, names, n=6, cutoff=0.6)]
    shown = list(dict.fromkeys(map(str, near)))[:3]
    return f" (is {' or '.join(shown)} meant?)" if shown else ""


def _content(file: Path) -> dict[str, Any]:
    """Return the keys of a study file, JSON or YAML. Raises InputError if it is neither, or more than data."""
    try:
        content = _parsed(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        advice = "Correct the indentation, the quotes or the colon"
        raise InputError(f"{file}: {line}not YAML: {error.problem}. {advice}") from error
    except RecursionError as error:
        raise InputError(f"{file}: its lists and keys are nested too deeply") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: not YAML in UTF-8: {error}") from error
    # PyYAML raises these for a value that is not of its tag, such as !!bool 7.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError) as error:
        raise InputError(f"{file}: not YAML: {error}") from error
    if not isinstance(content, dict):
        expected = "Expected a study, with the keys study, data and models"
        raise InputError(f"{file}: no keys at the top level. {expected}")
    if CODE in content:
        raise InputError(f"{file}: with the key {CODE}, it is a template that runs code. Remove the key")
    return content


def _parsed(text: str) -> Any:
    """Return what JSON or YAML says. Raises RecursionError or a ValueError if it says too much."""
    try:
        content = json.loads(text)
        _check_size(content)
    except ValueError:
        _check_size(yaml.compose(text, Loader=yaml.SafeLoader))
        content = yaml.safe_load(text)
    repr(content)  # raises ValueError for a whole number of thousands of digits, which no message could show
    return content


def _check_size(content: Any) -> None:
    """Raise RecursionError or ValueError if there are too many levels or values. An alias counts as all it repeats."""
    count, waiting = 0, [(content, 0)]
    while waiting:
        value, level = waiting.pop()
        count += 1
        if level > MOST_LEVELS:
            raise RecursionError
        if count > MOST_VALUES:
            raise ValueError(f"it has more than {MOST_VALUES} values")
        waiting += [(item, level + 1) for item in _below(value)]


def _below(value: Any) -> Iterable[Any]:
    """Return the items of a list, of a block of keys, or of a node of YAML, whose keys are in pairs with values."""
    if isinstance(value, yaml.CollectionNode):
        value = value.value
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list | tuple) else ()
