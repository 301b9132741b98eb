"""What the log of a job tells of its last attempt.

Snakemake deletes the log before it tries a job again. Those that a scheduler starts anew by itself follow each other in
it, and the records of a job's processes mix.
"""

import re
from dataclasses import dataclass
from os import fstat
from pathlib import Path

RECORD = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ([A-Z]+) ", re.MULTILINE)
LASTING = "ERROR"


@dataclass(frozen=True)
class Record:
    """One record of a log: its level, and its message, which may have several lines."""

    level: str
    message: str


def last_attempt(path: str | Path, since: float) -> list[Record]:
    """Return the records of a job's last attempt; none if there is no log, or none written since a time (epoch, s)."""
    try:
        with Path(path).open(errors="replace") as file:
            text = file.read() if fstat(file.fileno()).st_mtime >= since else ""
    except FileNotFoundError:
        return []
    _, *parts = RECORD.split(text)
    records = [Record(level, message.strip()) for level, message in zip(parts[::2], parts[1::2], strict=True)]
    starts = [number for number, record in enumerate(records) if _is_start(record)]
    return records[starts[-1] :] if starts else records


def failed_for_good(path: str | Path, since: float) -> bool:
    """Tell whether a job's last attempt, if it is newer than `since`, ended in what another try cannot cure.

    One process of several is enough, whatever the others say after it: they are stopped because of it.
    """
    return any(record.level == LASTING for record in last_attempt(path, since))


def last_words(path: str | Path, since: float) -> str:
    """Return the log's name and what its job said last: what it failed of, or how far it came before it was killed."""
    records = last_attempt(path, since)
    lasting = [record for record in records if record.level == LASTING]
    if lasting:
        return f"{path}: {lasting[-1].message}"
    if not records:
        return f"{path}: nothing, so it was ended from outside before it began, as by a scheduler"
    if records[-1].level == "WARNING":
        return f"{path}: {records[-1].message}"
    return f"{path}: no error, so it was ended from outside, as by a kill; last came: {records[-1].message}"


def _is_start(record: Record) -> bool:
    """The first record of every script is its command line."""
    return record.level == "DEBUG" and record.message.startswith("python ")
