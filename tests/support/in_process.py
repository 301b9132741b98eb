"""Runs the project's scripts in the process of the test, which sees their errors and pays for no new Python."""

import argparse
from types import ModuleType

from melanoma.common.cli import log


def call(script: ModuleType, *options: object) -> None:
    """Run a script's main as its command line would with `options`; its errors are raised."""
    parser = argparse.ArgumentParser()
    script.describe(parser)
    level = log.level
    try:
        script.main(parser.parse_args([str(option) for option in options]))
    finally:
        log.setLevel(level)  # a script may show errors alone
