"""Runs the project's scripts in the process of the test, which sees their errors and pays for no new Python."""

import argparse
from types import ModuleType


def call(script: ModuleType, *options: object) -> None:
    """Run a script's main as its command line would with `options`; its errors are raised."""
    parser = argparse.ArgumentParser()
    script.describe(parser)
    script.main(parser.parse_args([str(option) for option in options]))
