"""Jobs that failed for good are not tried again.

Snakemake tries every failed job again as often as --retries says, whatever it failed of. That is right for a training
that stopped before its time limit, for time-outs, kills, memory and nodes, and wrong for a typing error, which would
wait ten times for a GPU. Snakemake has no retries by cause, so the number that a job has left is asked of its log. The
attribute is Snakemake's own: a test fails if another version calls it otherwise.

Only the workflow imports this: jobs do not have Snakemake.
"""

from collections.abc import Iterable

from snakemake.jobs import Job

from melanoma.common.job_logs import failed_for_good, last_words


def retry_what_may_pass(since: float) -> None:
    """Let no job be tried again whose log says, since a time (seconds of the epoch), that this cannot help."""

    def restart_times(job: Job) -> int:
        return 0 if any(failed_for_good(path, since) for path in job.log) else job.rule.restart_times

    Job.restart_times = property(restart_times)


def failures(jobs: Iterable[Job], since: float) -> list[str]:
    """Return what each of the jobs that were given up said last, with its log's name."""
    return sorted(last_words(path, since) for job in jobs for path in job.log)
