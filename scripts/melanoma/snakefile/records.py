"""A record of how each result was made, beside the results, so that Snakemake reruns nothing for a copy of them.

Snakemake's own record is in the folder .snakemake where it ran, and a copy of results/ does not have it. So each run
writes the record into the results, too, with the SHA-256 of every file. `restore_record` returns it to Snakemake.
"""

import hashlib
import json
import os
import shlex
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypedDict

from melanoma.common.errors import InputError, listing
from melanoma.common.files import read_json, write_json, write_text

METADATA = Path(".snakemake/metadata")
RECORD = "record.json"
# Snakemake's file for the time of a folder.
FOLDER_TIME = ".snakemake_timestamp"


class FileState(TypedDict):
    """The state of a file or folder: its size in bytes, its time in ns since the epoch, and its SHA-256."""

    bytes: int
    time: int
    sha256: str


class Output(FileState):
    """An output of a job, with Snakemake's record of it: the path of the record in METADATA, and its content."""

    metadata: str
    made_by: dict[str, Any]  # its keys are Snakemake's


class Record(TypedDict):
    """The record of a study: its outputs, and the files outside its results that they were made from, by path."""

    outputs: dict[str, Output]
    sources: dict[str, FileState]


def keep_record(results: Path) -> None:
    """Write Snakemake's record of every file in `results`, and the SHA-256 of these files and of the study's tables.

    A file whose size and time are those of the last record is not read again.
    """
    record = results / RECORD
    before: Record = read_json(record) if record.exists() else {"outputs": {}, "sources": {}}
    outputs: dict[str, Output] = {}
    sources: set[str] = set()
    for name, path in _recorded(results):
        made_by = json.loads((METADATA / name).read_text())
        sources |= {each for each in made_by["input"] or [] if not Path(each).is_relative_to(results)}
        outputs[str(path)] = {**_state(path, before["outputs"]), "metadata": name, "made_by": made_by}
    files = {name: _state(Path(name), before["sources"]) for name in sorted(sources) if Path(name).is_file()}
    write_json(record, Record(outputs=outputs, sources=files))


def restore_record(results: Path) -> int:
    """Return the record of `results` to Snakemake in the current folder, and return the number of files in it.

    All files get the current time, because the times of a copy have no order. Raises the errors of `verified`.
    """
    outputs = verified(results)
    for output in outputs.values():
        write_text(METADATA / output["metadata"], json.dumps(output["made_by"]))
    # Snakemake also compares the times of inputs with those of a job's benchmark.
    benchmarks = Path("logs", results.name).rglob("*.tsv")
    now = time.time()
    for path in [*map(Path, outputs), *(Path(path, FOLDER_TIME) for path in outputs), *benchmarks]:
        if path.exists():
            os.utime(path, (now, now))
    return len(outputs)


def verified(results: Path) -> dict[str, Output]:
    """Return the recorded outputs of a study that exist, by path, if none of them has changed since the record.

    Raises InputError if there is no record, or if the content of a result, or of a table that the results were made
    from, has changed.
    """
    if not (results / RECORD).exists():
        raise InputError(f"{results / RECORD}: no such file; copy the whole folder of the study, with this file")
    record: Record = read_json(results / RECORD)
    outputs = {path: output for path, output in record["outputs"].items() if Path(path).exists()}
    changed = [path for path, output in outputs.items() if digest(Path(path)) != output["sha256"]]
    if changed:
        raise InputError(
            f"{len(changed)} file(s) differ from {results / RECORD}:\n{listing(changed, limit=len(changed))}\n"
            "Copy them again, or delete them and make them and all that depends on them again, with the study's command"
            f" and the option\n--forcerun {shlex.join(changed)}"
        )
    others = [path for path, state in record["sources"].items() if Path(path).is_file() and _differs(path, state)]
    if others:
        raise InputError(
            f"{results} was made from other versions of these files; restore those, or give the study another name:\n"
            + listing(others)
        )
    return outputs


def digest(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file, or of the names and contents of all files below a folder."""
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    below = sorted(each for each in path.rglob("*") if each.is_file() and each.name != FOLDER_TIME)
    lines = (f"{each.relative_to(path).as_posix()}\0{digest(each)}\n" for each in below)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _recorded(results: Path) -> Iterator[tuple[str, Path]]:
    """Yield the path of Snakemake's record in METADATA, and the path of the file, for each file in `results`."""
    for record in sorted(path for path in METADATA.rglob("*") if path.is_file()):
        name = record.relative_to(METADATA)
        path = Path(urlsafe_b64decode("".join(part.removeprefix("@") for part in name.parts)).decode())
        if path.is_relative_to(results) and path.exists():
            yield str(name), path


def _state(path: Path, before: Mapping[str, FileState]) -> FileState:
    """Return the state of a file, with the SHA-256 of the state `before` if size and time are the same."""
    size, modified = path.stat().st_size, path.stat().st_mtime_ns
    known = before.get(str(path))
    if path.is_file() and known and (known["bytes"], known["time"]) == (size, modified):
        return {"bytes": size, "time": modified, "sha256": known["sha256"]}
    return {"bytes": size, "time": modified, "sha256": digest(path)}


def _differs(path: str, state: FileState) -> bool:
    return Path(path).stat().st_size != state["bytes"] or digest(Path(path)) != state["sha256"]
