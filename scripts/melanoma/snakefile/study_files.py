"""Reads a study from its files, with the errors that Snakemake would show, and finds the paths that were meant."""

import difflib
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from snakemake.common.configfile import load_configfile
from snakemake.utils import update_config
from snakemake_interface_common.exceptions import WorkflowError

from melanoma.common.errors import InputError
from melanoma.config.study import Study
from melanoma.config.yaml_files import given_study


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
        try:
            yield load_configfile(file)
        except WorkflowError as error:
            raise InputError(f"{file}: {_fault(file)}") from error


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


def _fault(file: Path) -> str:
    """Return what is wrong with a file that holds no study, with its line where it is no YAML."""
    try:
        yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        return f"{line}not YAML: {error.problem}. Correct the indentation, the quotes or the colon"
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        return f"not YAML in UTF-8: {error}"
    return "no keys at the top level. Expected a study, with the keys study, data and models"
