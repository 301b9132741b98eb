"""No retry of jobs that failed by a permanent cause.

Snakemake repeats every failed job as often as --retries says, whatever the cause. That is right for a training that
stopped before its time limit, for kills, memory and nodes. It is wrong for a typing error, which would wait ten times
for a GPU. Snakemake has no retries by cause. So this module replaces Job.restart_times, an attribute of Snakemake, by a
property that reads the job's log. A test fails if a version of Snakemake has another name for it.
"""

from collections.abc import Iterable

from snakemake.jobs import Job

from melanoma.common.job_logs import failed_permanently, last_words


def retry_temporary_failures(since: float) -> None:
    """Allow no retry of a job whose log, if it is newer than `since` (epoch, s), has a permanent cause of failure."""

    def restart_times(job: Job) -> int:
        return 0 if any(failed_permanently(path, since) for path in job.log) else job.rule.restart_times

    Job.restart_times = property(restart_times)


def failures(jobs: Iterable[Job], since: float) -> list[str]:
    """Return the path of the log and the last words of each failed job."""
    return sorted(last_words(path, since) for job in jobs for path in job.log)
