"""The test-set access log: a line for every time that the labels of a test were opened, and for what.

A test is worth less with each choice that is made by it, and no one remembers how many there were. The log is added to
and never rewritten, by jobs that may run at once on several machines, and it is no output that a rerun would delete.
"""

import argparse
import fcntl
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.common.cli import log
from melanoma.common.files import sha256
from melanoma.common.provenance import commit
from melanoma.predictions.table import read_labels


def describe_access_log(parser: argparse.ArgumentParser) -> None:
    """Add the options of a script that opens the labels of the test."""
    parser.add_argument(
        "--test-access-log", type=Path, metavar="JSONL", help="where it is noted that test labels were opened"
    )
    parser.add_argument("--configuration", metavar="HASH", help="what is evaluated, for the access log")


def open_test_labels(path: Path, reader: str, models: list[str], args: argparse.Namespace) -> pd.DataFrame:
    """Return the labels of the test (see `predictions.read_labels`), after noting in the log that they were opened.

    `reader` is the name of the script and `models` are those to be evaluated. Without a log among
    `args`, as by hand, nothing is noted.
    """
    labels = read_labels(path)
    if args.test_access_log is not None:
        entry = {"reader": reader, "test": test_digest(labels), "configuration": args.configuration, "models": models}
        append(args.test_access_log, entry)
    return labels


def append(test_access_log: Path, entry: dict[str, Any]) -> None:
    """Add `entry`, with the time and the commit of the code, to the end of `test_access_log`, whoever else does so."""
    made = commit()
    stamp = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": made and made["digest"],
        "changed": made and made["changed"],
    }
    line = (json.dumps(stamp | entry) + "\n").encode()
    test_access_log.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(test_access_log, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        _lock(file)
        size = os.fstat(file).st_size
        if size and os.pread(file, 1, size - 1) != b"\n":  # a writer was killed within its line
            line = b"\n" + line
        os.write(file, line)
        os.fsync(file)
    finally:
        os.close(file)


def read_access_log(test_access_log: Path) -> list[dict[str, Any]]:
    """Return the entries of an access log, oldest first; a line that was cut short is one of unknown content."""
    if not test_access_log.exists():
        return []
    return [_entry(line) for line in test_access_log.read_text().splitlines() if line.strip()]


def accesses(entries: list[dict[str, Any]], test: str | None) -> dict[str, int]:
    """Return how often the labels of one test were read, and for how many different configurations."""
    own = [entry for entry in entries if entry.get("test") in (test, None)]
    return {"accesses": len(own), "configurations": len({entry.get("configuration") for entry in own})}


def test_digest(labels: pd.DataFrame) -> str:
    """Return a hash of a test's images and labels, whatever their order: 16 hexadecimal digits."""
    lines = labels["image"].astype(str) + "," + labels["target"].astype(str)
    return sha256("\n".join(sorted(lines)).encode())[:16]


def warn_of_many(entries: list[dict[str, Any]], test: str, most: int) -> None:
    """Log a warning where a test was read for more than `most` configurations."""
    count = accesses(entries, test)["configurations"]
    if count > most:
        log.warning(
            "the labels of this test have been read for %d configurations, more than %d"
            " (evaluate.max_test_configurations). Whatever was chosen by looking at them makes the test results too"
            " good: choose by out-of-fold results, and say in a publication how often the test was read",
            count,
            most,
        )


def _lock(file: int) -> None:
    """Wait for other writers, where the file system has locks; without them one write of one line has to do."""
    try:
        fcntl.lockf(file, fcntl.LOCK_EX)
    except OSError as error:
        log.debug("the access log cannot be locked: %s", error)


def _entry(line: str) -> dict[str, Any]:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return {"damaged": line}
