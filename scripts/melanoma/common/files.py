"""Atomic writes, so that no file is ever half written, and files whose damage is noticed when they are read.

A JSON, YAML or Parquet file of the workflow holds the SHA-256 of itself, with zeros in the place of that SHA-256: in
JSON as the last key, in YAML as a comment in the last line, in Parquet in the footer. The SHA-256 of a CSV or NPZ file,
a figure or a drawn image is in a hidden file beside it. A reader refuses a file whose content has another SHA-256. A
file without a SHA-256, as a person writes it, is read as it is.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from melanoma.common.causes import DISK_FULL, disk_full
from melanoma.common.errors import InputError

if TYPE_CHECKING:  # its import takes a second
    import pandas as pd

HDF5_SUFFIXES = (".hdf5", ".h5")
DIGEST_KEY = "#sha256"
NO_DIGEST = "0" * 64
DIGEST_PLACE = re.compile(rb"#sha256[^0-9a-f]{1,8}([0-9a-f]{64})")
# The end of a JSON or YAML file with a SHA-256, even if the key is damaged.
DIGEST_END = re.compile(rb"[0-9a-f]{64}\W*\Z")


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success sync it to disk and rename it, on failure remove it.

    Whenever a job is killed, readers see the old file or the new one, never a part. The temporary files of killed jobs
    are removed. If two jobs write one file at the same time, the one that began later succeeds, and the other raises
    OSError. Raises InputError if `path` is a folder, or if the disk is full.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path}: a folder. Give the name of a file")
    path.parent.mkdir(parents=True, exist_ok=True)
    for remains in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        remains.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise InputError(disk_full(path, error)) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` to `path` as UTF-8, atomically."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write `value` to `path` as indented JSON with its SHA-256, atomically; NaN becomes null."""
    text = json.dumps({**_without_nan(value), DIGEST_KEY: NO_DIGEST}, indent=2)
    write_bytes(path, with_digest(text.encode() + b"\n"))


def read_json(path: str | Path) -> Any:
    """Read a JSON file; raise InputError with the file's name if it is damaged or not JSON."""
    try:
        value = json.loads(intact(Path(path).read_bytes(), path))
    except ValueError as error:
        raise damaged(path, f"not valid JSON: {error}") from error
    if isinstance(value, dict):
        value.pop(DIGEST_KEY, None)
    return value


def write_yaml(path: str | Path, value: object) -> None:
    """Write `value` to `path` as YAML in the order of its keys, with its SHA-256, atomically."""
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    write_bytes(path, with_digest(f"{text}{DIGEST_KEY}: {NO_DIGEST}\n".encode()))


def read_yaml(path: str | Path) -> Any:
    """Read a YAML file; raise InputError with the file's name if it is damaged or not YAML."""
    try:
        return yaml.safe_load(intact(Path(path).read_bytes(), path).decode())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not valid YAML: {error}") from error


def write_parquet(path: str | Path, frame: "pd.DataFrame") -> None:
    """Write a pandas DataFrame to `path` as Parquet without its index, with its SHA-256, atomically."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    table, buffer = pa.Table.from_pandas(frame, preserve_index=False), io.BytesIO()
    with ParquetWriter(buffer, table.schema, write_page_checksum=True) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({DIGEST_KEY: NO_DIGEST})
    write_bytes(path, with_digest(buffer.getvalue()))


def read_parquet(path: str | Path, columns: list[str] | None = None) -> "pd.DataFrame":
    """Read a Parquet file, or some of its columns; raise InputError with the file's name if it is damaged."""
    import pandas as pd
    from pyarrow import ArrowException

    data = io.BytesIO(intact(Path(path).read_bytes(), path))
    try:
        return pd.read_parquet(data, columns=columns, page_checksum_verification=True)
    except (ArrowException, OSError, ValueError, KeyError) as error:
        remedy = "If the table is your own, write it again as Parquet"
        raise InputError(f"{damaged(path, f'not a Parquet table ({error})')}. {remedy}") from error


def write_csv(path: str | Path, frame: "pd.DataFrame") -> None:
    """Write a pandas DataFrame to `path` as CSV without its index, and its SHA-256 beside it, atomically."""
    write_checked(path, frame.to_csv(index=False).encode())


def read_csv(path: str | Path, **options: Any) -> "pd.DataFrame":
    """Read a CSV file by pandas with its `options`; raise InputError with the file's name if it is damaged."""
    import pandas as pd

    try:
        return pd.read_csv(io.BytesIO(read_intact(path)), **options)
    except (ValueError, UnicodeDecodeError) as error:
        raise damaged(path, f"not valid CSV: {error}") from error


def write_checked(path: str | Path, data: bytes) -> None:
    """Write `data` to `path`, and its SHA-256 to a hidden file beside it, atomically."""
    write_text(digest_file(path), sha256(data))
    write_bytes(path, data)


def read_intact(path: str | Path) -> bytes:
    """Return the content of a file; raise InputError if its SHA-256 is another than the file beside it says."""
    data, beside = Path(path).read_bytes(), digest_file(path)
    if beside.exists() and beside.read_bytes() != sha256(data).encode():
        raise damaged(path, f"it is not what the workflow wrote: its SHA-256 is not that of {beside.name}")
    return data


def write_sealed(path: str | Path, data: bytes) -> None:
    """Write the hexadecimal SHA-256 of `data`, a line feed and `data` to `path`, atomically."""
    write_bytes(path, sha256(data).encode() + b"\n" + data)


def read_sealed(path: str | Path) -> bytes | None:
    """Return the data of a file that `write_sealed` wrote, or None if it is damaged."""
    digest, _, data = Path(path).read_bytes().partition(b"\n")
    return data if digest == sha256(data).encode() else None


def sha256(data: bytes) -> str:
    """Return the hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def with_digest(data: bytes) -> bytes:
    """Return the content of a file with its SHA-256, in the place of the zeros that it has for that."""
    place = _digest_place(data)
    assert place is not None
    return data[: place.start(1)] + _digest(data, place).encode() + data[place.end(1) :]


def intact(data: bytes, path: str | Path) -> bytes:
    """Return the content `data` of the file `path`; raise InputError if its SHA-256 is another than the file says."""
    place = _digest_place(data)
    if place is None:
        wrong = DIGEST_KEY.encode() in data or DIGEST_END.search(data[-100:]) is not None
    else:
        wrong = place[1].decode() != _digest(data, place)
    if wrong:
        raise damaged(path, "it is not what the workflow wrote")
    return data


def damaged(path: str | Path, problem: str) -> InputError:
    """Return the error of a file of the workflow that is damaged."""
    return InputError(f"{path}: {problem}. Delete this file and give the same command again, which makes it anew")


def digest_file(path: str | Path) -> Path:
    """Return the hidden file beside `path` that holds its SHA-256."""
    return Path(path).with_name(f".{Path(path).name}.sha256")


def _digest_place(data: bytes) -> re.Match[bytes] | None:
    return DIGEST_PLACE.match(data, data.rfind(DIGEST_KEY.encode())) if DIGEST_KEY.encode() in data else None


def _digest(data: bytes, place: re.Match[bytes]) -> str:
    content, digest = memoryview(data), hashlib.sha256()
    for part in (content[: place.start(1)], NO_DIGEST.encode(), content[place.end(1) :]):
        digest.update(part)
    return digest.hexdigest()


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and value != value else value
