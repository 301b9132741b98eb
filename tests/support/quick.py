"""Runs the scripts that need torch in processes of their own which do not pay seconds for importing it.

A server process imports torch once and is then forked for each script, which otherwise runs as from the command
line: its own process, its own process group, its own arguments, to be killed like any other.
"""

import multiprocessing
import multiprocessing.forkserver
import os
import resource
import runpy
import socket
import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

from project import SCRIPTS

_server = multiprocessing.get_context("forkserver")
# Trainings in several processes import torch._dynamo, each of them.
_server.set_forkserver_preload(["melanoma.training.trainer", "imblearn.over_sampling", "torch._dynamo"])


def _start_server() -> None:
    """Start the server with the library on its path: it does not look for what it preloads on sys.path."""
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = str(SCRIPTS)
    multiprocessing.forkserver.ensure_running()
    if path is None:
        del os.environ["PYTHONPATH"]
    else:
        os.environ["PYTHONPATH"] = path


def start(
    script: str,
    *options: object,
    environment: dict[str, object] | None = None,
    largest_file: int | None = None,
    folder: Path | None = None,
) -> BaseProcess:
    """Start scripts/<script>.py with `options`, in `folder` if it is given, and return its process.

    `environment` is added to its own; writing a file beyond `largest_file` bytes fails, as it does on a full disk.
    """
    added = {name: str(value) for name, value in (environment or {}).items()}
    return fork(_run, script, [str(option) for option in options], added, largest_file, folder)


def fork(function: Callable[..., None], *arguments: object) -> BaseProcess:
    """Start a process that has nothing of this one but `function`, a module's, and `arguments`; return it."""
    _start_server()
    process = _server.Process(target=function, args=arguments)
    process.start()
    return process


def run(script: str, *options: object, processes: int = 1) -> None:
    """Run scripts/<script>.py with `options` to its end, which must be a success, in as many processes as asked."""
    environments = worlds(processes) if processes > 1 else [None]
    _join(f"{script}.py", [start(script, *options, environment=environment) for environment in environments])


def together(function: Callable[..., None], processes: int, *arguments: object) -> None:
    """Call `function` in as many processes as torchrun would. It takes the environment of its process first."""
    _start_server()
    started = [_server.Process(target=function, args=(world, *arguments)) for world in worlds(processes)]
    for process in started:
        process.start()
    _join(function.__name__, started)


def _join(name: str, started: list[BaseProcess]) -> None:
    for process in started:
        process.join()
    codes = [process.exitcode for process in started]
    assert not any(codes), f"{name} failed with exit code {codes}"


def worlds(processes: int) -> list[dict[str, object]]:
    """Return what torchrun gives to each of so many processes on this machine."""
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
    sizes = {"WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes}
    return [{"RANK": rank, "LOCAL_RANK": rank} | sizes | meeting for rank in range(processes)]


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def _run(
    script: str, options: list[str], environment: dict[str, str], largest_file: int | None, folder: Path | None
) -> None:
    os.setpgid(0, 0)
    os.chdir(folder or os.curdir)
    os.environ.update(environment)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    path = SCRIPTS / f"{script}.py"
    sys.argv = [str(path), *options]
    runpy.run_path(str(path), run_name="__main__")
