"""The test-set access log: one line for each time that the labels of a test set were read, and for what.

Each decision that is made by looking at test results makes these results less valid, so the log counts the accesses.
Lines are only added, by jobs that may run at the same time on several machines. The log is not an output of a rule, so
a rerun does not delete it.
"""

import argparse
import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypedDict, cast

import pandas as pd

from melanoma.common.causes import DISK_FULL, disk_full
from melanoma.common.cli import log
from melanoma.common.errors import InputError
from melanoma.common.files import DIGEST_KEY, NO_DIGEST, intact, read_parquet, sha256, with_digest
from melanoma.common.provenance import commit
from melanoma.predictions.table import read_labels

EXTERNAL = "external"  # the reader of the labels of external tests


class Access(TypedDict, total=False):
    """One line of the log. A damaged line has the key `damaged` only."""

    time: str  # UTC, ISO 8601
    commit: str | None  # of the code; null outside a git checkout
    changed: bool | None  # whether files differ from the commit
    reader: str  # the script
    test: str  # see `test_digest`
    configuration: str | None  # digest of the configuration; null for a run by hand
    models: list[str]
    damaged: str  # the text of a line that is no JSON, or not as it was written


class Count(TypedDict):
    """How often the labels of one test set were read."""

    accesses: int
    configurations: int  # different ones


def describe_access_log(parser: argparse.ArgumentParser) -> None:
    """Add the options of a script that opens the labels of the test."""
    parser.add_argument(
        "--test-access-log", type=Path, metavar="JSONL", help="log to which this access to test labels is added"
    )
    parser.add_argument("--configuration", metavar="HASH", help="digest of the configuration, for the access log")


def open_test_labels(path: Path, reader: str, models: list[str], args: argparse.Namespace) -> pd.DataFrame:
    """Return the labels of the test (see `table.read_labels`) after adding a line to the access log.

    `reader` is the name of the script, and `models` are the models that it evaluates. Without a log in `args` no line
    is added.
    """
    labels = read_labels(path)
    if args.test_access_log is not None:
        configuration: str | None = args.configuration
        access = Access(reader=reader, test=test_digest(labels), configuration=configuration, models=models)
        append(args.test_access_log, access)
    return labels


def open_external_labels(path: Path, models: list[str], args: argparse.Namespace) -> pd.DataFrame:
    """Return the labels of external tests, with source, after adding a line to the access log for each source.

    `path` is a Parquet file with image, target, unit and source.
    """
    labels = read_parquet(path)
    for _, rows in labels.groupby("source", sort=False) if args.test_access_log is not None else ():
        configuration: str | None = args.configuration
        access = Access(reader=EXTERNAL, test=test_digest(rows), configuration=configuration, models=models)
        append(args.test_access_log, access)
    return labels


def append(test_access_log: Path, access: Access) -> None:
    """Add a line with the time and the commit of the code; other jobs may add lines at the same time.

    Raises InputError if the disk is full.
    """
    code = commit()
    stamp = Access(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=code["digest"] if code else None,
        changed=code["changed"] if code else None,
    )
    line = with_digest(json.dumps({**stamp, **access, DIGEST_KEY: NO_DIGEST}).encode()) + b"\n"
    test_access_log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(test_access_log, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        _lock(file)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":  # a writer was killed within its line
            line = b"\n" + line
        if (written := os.write(file, line)) < len(line):
            os.write(file, line[written:])  # raises the reason
        os.fsync(file)
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise InputError(disk_full(test_access_log, error)) from error
    finally:
        os.close(file)


def read_access_log(test_access_log: Path) -> list[Access]:
    """Return the lines of an access log, oldest first. A line that is cut short or changed is returned as damaged."""
    if not test_access_log.exists():
        return []
    lines = [line for line in test_access_log.read_bytes().split(b"\n") if line.strip()]
    return [_access(line, f"{test_access_log}, line {number}") for number, line in enumerate(lines, 1)]


def accesses(log_lines: list[Access], test: str | None) -> Count:
    """Count the accesses to the labels of one test set. A damaged line counts for each test set."""
    same_test = [access for access in log_lines if access.get("test") in (test, None)]
    return {"accesses": len(same_test), "configurations": len({access.get("configuration") for access in same_test})}


def test_digest(labels: pd.DataFrame) -> str:
    """Return a hash of the images and labels of a test set in any order: 16 hexadecimal digits."""
    lines = labels["image"].astype(str) + "," + labels["target"].astype(str)
    return sha256("\n".join(sorted(lines)).encode())[:16]


def warn_of_many(log_lines: list[Access], test: str, limit: int) -> None:
    """Log a warning if the labels of a test set were read for more than `limit` configurations."""
    count = accesses(log_lines, test)["configurations"]
    if count > limit:
        log.warning(
            "the labels of this test set have been read for %d configurations, more than %d"
            " (evaluate.max_test_configurations). Test results are too good if decisions are made by looking at them:"
            " decide by out-of-fold results, and report in a publication how often the test set was read",
            count,
            limit,
        )


def _lock(file: int) -> None:
    """Wait for other writers. Without locks in the file system, a line is still written in one call."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX)
    except OSError as error:
        log.debug("the access log cannot be locked: %s", error)


def _access(line: bytes, name: str) -> Access:
    try:
        values: dict[str, Any] = json.loads(intact(line, name))
    except (ValueError, InputError):
        log.warning("%s is damaged, and counts as an access to each test set", name)
        return {"damaged": line.decode(errors="replace")}
    access: Any = {key: value for key, value in values.items() if key != DIGEST_KEY}
    return cast("Access", access)
