"""The terminal shows one line for each job, and the errors. Snakemake's log file has all messages."""

import logging
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from snakemake.logging import ColorizingTextHandler, DefaultFormatter, LogEvent, format_wildcards, logger, show_logs
from snakemake.settings.types import OutputSettings

from melanoma.common.errors import InputError

# What Snakemake reports of a job. Its keys depend on the event.
Report = dict[str, Any]
UNSEEN = (LogEvent.JOB_FINISHED, LogEvent.JOB_STARTED)
# For so long (s) the lines show the same estimate of the time left, because it takes the logs of all jobs.
FRESH = 10.0


def show_one_line_a_job(settings: OutputSettings, results: Path) -> None:
    """Show one line for each job that starts. With --printshellcmds, Snakemake shows all its messages.

    `results` is the folder of the study, such as results/demo.
    """
    if settings.printshellcmds or settings.verbose or settings.dryrun:
        return
    for handler in logger.handlers:
        if isinstance(handler, ColorizingTextHandler):
            progress = Progress()
            handler.addFilter(progress)
            handler.setFormatter(OneLine(progress, Estimate(results), settings.quiet, settings.show_failed_logs))


class Progress(logging.Filter):
    """Counts the finished jobs, and hides the messages about them."""

    def __init__(self) -> None:
        super().__init__()
        self.done, self.total = 0, 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a message is shown."""
        event = getattr(record, "event", None)
        if event == LogEvent.PROGRESS:
            self.done, self.total = record.__dict__["done"], record.__dict__["total"]
            return self.done == self.total
        if event == LogEvent.RUN_INFO and "stats" in record.__dict__:
            self.total = record.__dict__["stats"].get("total", 0)
        # The second message repeats the whole command of a failed job. OneLine shows the job's rule, log and error.
        unseen = record.msg == "Select jobs to execute..." or "CalledProcessError in file" in str(record.msg)
        return event not in UNSEEN and not unseen


class Estimate:
    """Estimates the time that a run still takes from the files of its jobs, as scripts/watch.py does."""

    def __init__(self, results: Path) -> None:
        self.results = results
        self.latest, self.outdated_at = "", 0.0

    def time_left(self) -> str:
        """Return the time left, such as "at least 12 min left"; empty if nothing tells it."""
        if time.monotonic() >= self.outdated_at:
            self.latest = self._read()
            self.outdated_at = time.monotonic() + FRESH
        return self.latest

    def _read(self) -> str:
        from melanoma.snakefile.watch import read_run, time_left

        try:
            return time_left(read_run(self.results, datetime.now()))
        except (InputError, OSError, ValueError):  # no plan, or a file that a job is just writing or removing
            return ""


class OneLine(DefaultFormatter):
    """Formats a line for each job: the number of finished jobs, the time left, the job's rule, wildcards and log."""

    def __init__(self, progress: Progress, estimate: Estimate, quiet: Any, show_failed_logs: bool) -> None:
        super().__init__(quiet, show_failed_logs)
        self.progress, self.estimate = progress, estimate

    def format_job_info(self, msg: Report) -> str:
        """Return the line of a job that starts."""
        if msg["rule_name"] == "all":
            return ""
        done = f"{self.progress.done} of {self.progress.total or '?'} done"
        # Only one job is in the Snakemake that a cluster starts for a job, which need not read the logs of all.
        left = self.estimate.time_left() if self.progress.total > 1 else ""
        state = ", ".join(filter(None, [done, left]))
        return f"{self._now()} [{state}] {_named(msg)}{_logs(msg)}"

    def format_job_error(self, msg: Report) -> str:
        """Return the line of a failed job and the scheduler's message, and the job's log with --show-failed-logs."""
        lines = [f"{self._now()} Error in rule {_named(msg)}{_logs(msg)}"]
        if msg["rule_msg"]:
            lines.append(f"    {msg['rule_msg']}")
        lines += [f"    {name}: {value}" for name, value in msg["aux"].items()]
        if self.show_failed_logs:
            lines += show_logs(msg["log"])
        return "\n".join(lines)

    def _now(self) -> str:
        return str(self.formatTime(logging.makeLogRecord({}), "%H:%M:%S"))


def _named(msg: Report) -> str:
    wildcards = format_wildcards(msg["wildcards"]) if msg.get("wildcards") else ""
    return f"{msg['rule_name']}:{' ' + wildcards if wildcards else ''}"


def _logs(msg: Report) -> str:
    return f" ({', '.join(msg['log'])})" if msg["log"] else ""
