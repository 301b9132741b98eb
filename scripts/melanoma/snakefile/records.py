"""A record of what made each result, kept beside the results, so that a copy of them reruns nothing.

Snakemake's own record lies in the folder .snakemake of where it ran, and a copy of results/ leaves it behind.
So each run writes it to the results, too, with the SHA-256 of every file. `restore_record` gives it back to Snakemake.
"""

import hashlib
import os
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from melanoma.common.errors import InputError, listing
from melanoma.common.files import read_json, write_json

METADATA = Path(".snakemake/metadata")
RECORD = "record.json"
# Snakemake's mark of when a folder was made.
FOLDER_TIME = ".snakemake_timestamp"


def keep_record(results: Path) -> None:
    """Write what Snakemake knows of every file in `results`, and the SHA-256 of these files and of the study's tables.

    A file of the size and time of the last record is not read again.
    """
    record = results / RECORD
    before = read_json(record) if record.exists() else {"outputs": {}, "sources": {}}
    outputs, sources = {}, set()
    for name, path in _recorded(results):
        made_by = read_json(METADATA / name)
        sources |= {each for each in made_by["input"] or [] if not Path(each).is_relative_to(results)}
        outputs[str(path)] = _seen(path, before["outputs"]) | {"metadata": name, "made_by": made_by}
    files = {name: _seen(Path(name), before["sources"]) for name in sorted(sources) if Path(name).is_file()}
    write_json(record, {"outputs": outputs, "sources": files})


def restore_record(results: Path) -> int:
    """Give Snakemake in this folder the record of `results`; return the number of files that are as they were.

    All of them get the time of now, for a copy leaves them in any order. Raises InputError where there is no record, or
    where a file of the results or a table that they were made from is another one.
    """
    if not (results / RECORD).exists():
        raise InputError(f"{results / RECORD}: no such record. Copy the whole folder, the record with it")
    record = read_json(results / RECORD)
    there = {path: seen for path, seen in record["outputs"].items() if Path(path).exists()}
    changed = [path for path, seen in there.items() if digest(Path(path)) != seen["sha256"]]
    if changed:
        raise InputError(
            f"{len(changed)} file(s) are not what the record says; copy them again, or delete them and they are made"
            f" anew:\n{listing(changed)}"
        )
    others = [path for path, seen in record["sources"].items() if Path(path).is_file() and _differs(path, seen)]
    if others:
        raise InputError(
            f"{results} was made from other content of these files; put that back, or give the study another name:\n"
            + listing(others)
        )
    for seen in there.values():
        write_json(METADATA / seen["metadata"], seen["made_by"])
    # Snakemake compares inputs with the benchmark of a job, too.
    benchmarks = Path("logs", results.name).rglob("*.tsv")
    now = time.time()
    for path in [*map(Path, there), *(Path(path, FOLDER_TIME) for path in there), *benchmarks]:
        if path.exists():
            os.utime(path, (now, now))
    return len(there)


def digest(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file, or of the names and contents of all files below a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    below = sorted(each for each in path.rglob("*") if each.is_file() and each.name != FOLDER_TIME)
    lines = (f"{each.relative_to(path).as_posix()}\0{digest(each)}\n" for each in below)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _recorded(results: Path) -> Iterator[tuple[str, Path]]:
    """Yield the record's place in Snakemake's metadata, and the path, of each file in `results`."""
    for record in sorted(path for path in METADATA.rglob("*") if path.is_file()):
        name = record.relative_to(METADATA)
        path = Path(urlsafe_b64decode("".join(part.removeprefix("@") for part in name.parts)).decode())
        if path.is_relative_to(results) and path.exists():
            yield str(name), path


def _seen(path: Path, before: dict[str, Any]) -> dict[str, Any]:
    """Return size, time and SHA-256 of a file, the last as it was `before` where the others are."""
    status = path.stat()
    seen = {"bytes": status.st_size, "time": status.st_mtime_ns}
    known = before.get(str(path), {})
    if path.is_file() and {key: known.get(key) for key in seen} == seen:
        return seen | {"sha256": known["sha256"]}
    return seen | {"sha256": digest(path)}


def _differs(path: str, seen: dict[str, Any]) -> bool:
    return bool(Path(path).stat().st_size != seen["bytes"] or digest(Path(path)) != seen["sha256"])
