"""Runs the scripts that need torch in processes of their own which do not pay seconds for importing it.

A server process imports torch once and is then forked for each script, which otherwise runs as from the command
line: its own process, its own arguments, to be killed like any other.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import runpy
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

SCRIPTS = Path(__file__).parents[1] / "scripts"
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["melanoma.training", "imblearn.over_sampling", "torch._dynamo"])


def _start_server() -> None:
    """Start the server with the library on its path: it does not look for what it preloads on sys.path."""
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(SCRIPTS)
    multiprocessing.forkserver.ensure_running()
    if path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = path


def start(script: str, *options: object) -> BaseProcess:
    """Start scripts/<script>.py with `options` and return its process."""
    _start_server()
    process = _server.Process(target=_run, args=(script, [str(option) for option in options]))
    process.start()
    return process


def run(script: str, *options: object) -> None:
    """Run scripts/<script>.py with `options` to its end, which must be a success."""
    process = start(script, *options)
    process.join()
    assert process.exitcode == 0, f"{script}.py failed with exit code {process.exitcode}"


def _run(script: str, options: list[str]) -> None:
    path = SCRIPTS / f"{script}.py"
    sys.argv = [str(path), *options]
    runpy.run_path(str(path), run_name="__main__")
