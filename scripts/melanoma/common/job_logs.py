"""The last attempt of a job, read from the job's log.

Snakemake deletes the log before a retry. If a scheduler itself starts a job again, the attempts follow each other in
one log. The records of a job's processes are mixed.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from os import fstat
from pathlib import Path

RECORD = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) ([A-Z]+) ", re.MULTILINE)
PERMANENT = "ERROR"


@dataclass(frozen=True)
class Record:
    """A record of a log: its local time, its level, and its message, which may have several lines."""

    time: datetime
    level: str
    message: str


def last_attempt(path: str | Path, since: float) -> list[Record]:
    """Return the records of a job's last attempt; none without a log that is newer than `since` (epoch, s)."""
    try:
        with Path(path).open(errors="replace") as file:
            text = file.read() if fstat(file.fileno()).st_mtime >= since else ""
    except FileNotFoundError:
        return []
    _, *parts = RECORD.split(text)
    records = [
        Record(datetime.fromisoformat(time), level, message.strip())
        for time, level, message in zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    ]
    starts = [number for number, record in enumerate(records) if _is_start(record)]
    return records[starts[-1] :] if starts else records


def failed_permanently(path: str | Path, since: float) -> bool:
    """Tell whether a job's last attempt, if it is newer than `since` (epoch, s), failed by a permanent cause.

    An ERROR of one process is enough. The other processes are stopped because of it, and log that later.
    """
    return any(record.level == PERMANENT for record in last_attempt(path, since))


def last_words(path: str | Path, since: float) -> str:
    """Return the path of the log and the cause of the failure or, if the job was killed, its last message."""
    records = last_attempt(path, since)
    lasting = [record for record in records if record.level == PERMANENT]
    if lasting:
        return f"{path}: {lasting[-1].message}"
    if not records:
        return f"{path}: no message; the job was ended from outside before it started, as by a scheduler"
    if records[-1].level == "WARNING":
        return f"{path}: {records[-1].message}"
    return f"{path}: no error; the job was ended from outside, as by a kill. Its last message: {records[-1].message}"


def _is_start(record: Record) -> bool:
    """Tell whether a record is the first one of a script: its command line."""
    return record.level == "DEBUG" and record.message.startswith("python ")
