"""Atomic writes, so that no file is ever half written, and reading of JSON and YAML."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from melanoma.common.errors import InputError

if TYPE_CHECKING:  # its import takes a second
    import pandas as pd

HDF5_SUFFIXES = (".hdf5", ".h5")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success sync it to disk and rename it, on failure remove it.

    Whenever a job is killed, readers see the old file or the new one, never a part. The temporary files of killed jobs
    are removed. If two jobs write one file at the same time, the one that began later succeeds, and the other raises
    OSError.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for remains in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        remains.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: object) -> None:
    """Write `value` to `path` as indented JSON, atomically; NaN becomes null."""
    write_text(path, json.dumps(_without_nan(value), indent=2) + "\n")


def read_json(path: str | Path) -> Any:
    """Read a JSON file."""
    return json.loads(Path(path).read_text())


def write_yaml(path: str | Path, value: object) -> None:
    """Write `value` to `path` as YAML in the order of its keys, atomically."""
    write_text(path, yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file; raise InputError with the file's name where it is not YAML."""
    try:
        return yaml.safe_load(Path(path).read_text())
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error


def write_parquet(path: str | Path, frame: "pd.DataFrame") -> None:
    """Write a pandas DataFrame to `path` as Parquet without its index, atomically."""
    with atomic_path(path) as temporary:
        frame.to_parquet(temporary, index=False)


def write_csv(path: str | Path, frame: "pd.DataFrame") -> None:
    """Write a pandas DataFrame to `path` as CSV without its index, atomically."""
    with atomic_path(path) as temporary:
        frame.to_csv(temporary, index=False)


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value
