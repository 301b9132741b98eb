"""Snakemake with looks at Slurm's jobs at equal intervals.

The plugin of Slurm waits ten seconds longer after each look at which no job has ended: a cluster needs that, and tests
of one job at a time would mostly wait for the next look.
"""

import sys
from pathlib import Path

from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor


def interval(executor: Executor) -> int:
    """Return the seconds between two looks: those that the command line gives for the first one."""
    return executor.workflow.executor_settings.init_seconds_before_status_checks


Executor.next_seconds_between_status_checks = property(interval, lambda executor, seconds: None)

if __name__ == "__main__":
    sys.argv[0] = str(Path(sys.executable).with_name("snakemake"))
    sys.path[0] = str(Path(sys.executable).parent)  # as for the command `snakemake`
    sys.exit(main())
