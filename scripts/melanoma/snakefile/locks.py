"""Snakemake's lock of a folder, with the name of its owner, so that the same command goes on after a kill.

Snakemake's own lock does not say who holds it. After a kill or a power loss, a person has to find out, to unlock, and
to ask for the incomplete files. So this module replaces Snakemake's class of the lock by one whose locks begin with a
line that names the Snakemake. A lock whose owner has ended is removed. Tests fail if a version of Snakemake has other
names for what is replaced.
"""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import psutil
import snakemake.workflow
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.persistence.file import FilePersistence
from snakemake.workflow import Workflow

from melanoma.common.processes import SNAKEMAKE, ProcessId, is_orphan, lock_owners

LONGEST_END = 300  # seconds that a job may take from the end of its Snakemake to its own: it saves a checkpoint


def go_on_after_a_kill(workflow: Workflow) -> None:
    """Let Snakemake remove the locks of killed ones, after their jobs have ended.

    Raises WorkflowError in a job of a scheduler whose Snakemake has ended: it would delete the files of another one.
    """
    snakemake.workflow.FilePersistence = NamedLocks
    if workflow.remote_exec and is_orphan():
        raise WorkflowError(
            f"the Snakemake that submitted this job ({os.environ[SNAKEMAKE]}) has ended, so this job does nothing"
        )


class NamedLocks(FilePersistence):
    """Locks that name the process of their Snakemake, which its jobs find in their environment, too."""

    @property
    def locked(self) -> bool:
        """Whether another Snakemake that has not ended works on files of this one."""
        _remove_locks_of_killed()
        locked = bool(super().locked)
        if locked:
            logger.error(_message(set(lock_owners().values())))
        return locked

    def _write_locks(self, lock_type: str, keys: Iterable[str]) -> None:
        os.environ[SNAKEMAKE] = str(ProcessId.current())
        super()._write_locks(lock_type, [os.environ[SNAKEMAKE], *keys])

    def _delete_locks(self) -> None:
        """Delete the locks of this Snakemake; with --unlock, which has none, those of all."""
        if not self._lockfile:
            super()._delete_locks()
        for path in self._lockfile.values():
            Path(path).unlink(missing_ok=True)
        self._lockfile.clear()


def _remove_locks_of_killed() -> None:
    killed = {path: owner for path, owner in lock_owners().items() if owner.is_gone()}
    for owner in sorted(set(map(str, killed.values()))):
        logger.warning(f"A Snakemake was killed here ({owner}). Its lock is removed, and this one goes on.")
        _wait_for_jobs(owner)
    for path in killed:
        path.unlink(missing_ok=True)


def _wait_for_jobs(owner: str) -> None:
    """Wait until the jobs on this host of a Snakemake that was killed have noticed it, so that none writes any more."""
    jobs = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(SNAKEMAKE) == owner and process.pid != os.getpid():
                jobs.append(process)
    if jobs:
        logger.warning(f"Waiting until its {len(jobs)} processes have ended.")
    psutil.wait_procs(jobs, timeout=LONGEST_END)


def _message(owners: Iterable[ProcessId]) -> str:
    named = ", ".join(sorted(map(str, owners))) or "unknown"
    return (
        f"Another Snakemake works on this study in this folder: {named}. Wait for its end, or stop it there. If that"
        " process has ended, as after a power loss of another host, run: snakemake --unlock"
    )
