"""Dry runs of Snakemake in forks of one process that has imported slow libraries and parsed the code: quick ones.

The process ends with the tests that started it. It imports nothing of Snakemake and of the workflow: a fork does that.
"""

import ast
import gc
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

# The slow imports of a plan. Snakemake itself is not among them: what it imports depends on the commands in PATH.
IMPORTS = ("jinja2", "numpy", "pandas", "pyarrow", "pydantic", "requests", "sqlmodel", "yaml")


def plan(folder: Path, options: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `snakemake` with `options` in `folder`; return its exit status and what it printed."""
    server = _server()
    assert server.stdin is not None and server.stdout is not None
    with tempfile.NamedTemporaryFile("r") as printed:
        request = {"folder": str(folder), "options": options, "environment": dict(environment), "output": printed.name}
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        return subprocess.CompletedProcess(options, status, printed.read())


@cache
def _server() -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _serve() -> None:
    """Answer each request in the standard input with an exit status in the standard output."""
    sys.path[0] = str(Path(sys.executable).parent)  # as for the command `snakemake`
    for name in IMPORTS:
        __import__(name)
    _keep_trees()
    for line in sys.stdin:
        child = os.fork()
        if not child:
            _run(**json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _keep_trees() -> None:
    """Let forks have the syntax trees of the project's modules by their text: each plan would parse all of them."""
    parse = ast.parse
    texts = (path.read_text() for path in Path(__file__).parents[2].glob("scripts/**/*.py"))
    trees = {text: parse(text) for text in texts}
    ast.parse = lambda source, *arguments, **options: trees.get(source) or parse(source, *arguments, **options)
    gc.freeze()


def _run(folder: str, options: list[str], environment: dict[str, str], output: str) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for source, target in ((os.open(os.devnull, os.O_RDONLY), 0), (os.open(output, os.O_WRONLY), 1), (1, 2)):
        os.dup2(source, target)
    sys.argv = [str(Path(sys.executable).with_name("snakemake")), *options]
    status: object = 1
    try:
        from snakemake.cli import main

        status = main()
    except SystemExit as end:
        status = end.code
    except BaseException:
        traceback.print_exc()
    if isinstance(status, str):
        print(status, file=sys.stderr)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else int(status is not None))


if __name__ == "__main__":
    _serve()
