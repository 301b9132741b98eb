"""The file system of the run: whether it can be written, whether it has locks, and how long small files take."""

import errno
import fcntl
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from melanoma.doctor.findings import Finding, fault, ok, warning

SUBJECT = "file system"
# ENOTSUPP, which Linux passes on from some network file systems, has no name in Python.
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, 524}
ROUNDS = 20
LONGEST = 10.0  # seconds
SLOW_WRITE, SLOW_STAT = 250.0, 50.0  # ms; a local disk takes about 5 and 0.01, a good network file system 20 and 1


def check_file_system(folder: Path) -> list[Finding]:
    """Write, lock and time small files in `folder`."""
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=folder) as inside:
            return [*_locks(Path(inside)), _speed(folder, Path(inside))]
    except OSError as error:
        cure = (
            "run in a folder that you may write and that all nodes see, such as scratch: cd there, or give snakemake"
            " --directory FOLDER; if a quota is full, delete files"
        )
        return [fault(SUBJECT, f"{folder} cannot be written: {error.strerror}", cure)]


def _locks(folder: Path) -> list[Finding]:
    path = folder / "lock"
    try:
        with path.open("w") as file:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return [_no_locks(error)]
    return [ok(SUBJECT, "files can be locked")]


def _no_locks(error: OSError) -> Finding:
    text = f"files cannot be locked (error {error.errno})"
    if os.environ.get("HDF5_USE_FILE_LOCKING", "FALSE").upper() not in ("FALSE", "0", "BEST_EFFORT"):
        text += ", and HDF5_USE_FILE_LOCKING demands locks, so no image store can be opened"
        return fault(SUBJECT, text, "unset HDF5_USE_FILE_LOCKING")
    text += "; this workflow runs without locks, but two runs of one study at once are not kept apart"
    cure = "start each study once only; or mount with locks (Lustre: -o flock; NFS: start its lock service)"
    return warning(SUBJECT, text, cure)


def _speed(folder: Path, inside: Path) -> Finding:
    deadline = time.perf_counter() + LONGEST
    write = _milliseconds(lambda number: _write(inside), deadline)
    # Names that were never asked for, because a network file system remembers its answers.
    stat = _milliseconds(lambda number: (inside / f"other-{number}").exists(), deadline)
    text = f"a small file in {folder} takes {write:.1f} ms to write, and {stat:.2f} ms to look up"
    if write <= SLOW_WRITE and stat <= SLOW_STAT:
        return ok(SUBJECT, text)
    cure = (
        "run on another file system (snakemake --directory FOLDER), such as scratch; or raise latency-wait in the"
        " profile, take fewer images.shards, and expect slow starts of jobs"
    )
    return warning(SUBJECT, f"slow: {text}", cure)


def _milliseconds(action: Callable[[int], object], deadline: float) -> float:
    """Return the median time of up to ROUNDS calls, which end soon after the deadline."""
    times = []
    for number in range(ROUNDS):
        start = time.perf_counter()
        action(number)
        end = time.perf_counter()
        times.append(1000 * (end - start))
        if end > deadline:
            break
    return median(times)


def _write(folder: Path) -> None:
    """Write a small file as the workflow does: under another name, to the disk, and renamed."""
    temporary = folder / "small.tmp"
    with temporary.open("wb") as file:
        file.write(bytes(4096))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / "small")
