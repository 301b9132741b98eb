"""Jobs of Snakemake as forks of one process that has imported torch and other slow libraries: quick ones.

Snakemake runs the same commands. In bash, `python` is then a function: a small client that hands its standard streams,
folder, environment and arguments to the server, which forks for each script. A fork imports the project's code anew.
Jobs that are to be killed, and those under torchrun, are processes of their own.
"""

import gc
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

# None of them looks for a home folder, as matplotlib does: that of a job can be another one.
IMPORTS = (
    *("cv2", "h5py", "pandas", "pyarrow.parquet", "pydantic", "safetensors", "scipy.special", "scipy.stats"),
    *("sklearn.ensemble", "sklearn.linear_model", "torch", "yaml"),
)


@cache
def environment() -> dict[str, str]:
    """Return what to add to the environment of Snakemake; the server that this starts ends with this process."""
    folder = Path(tempfile.mkdtemp(prefix="jobs-"))
    meeting, function = folder / "socket", folder / "python.sh"
    client = shlex.join([sys.executable, "-I", "-S", __file__, str(meeting)])
    function.write_text(f'python() {{ if [[ ${{1-}} == *.py ]]; then {client} "$@"; else command python "$@"; fi; }}\n')
    command = [sys.executable, __file__, str(meeting), "--serve"]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert server.stdout is not None and server.stdout.readline(), "the server of jobs did not start"
    _servers.append(server)
    return {"BASH_ENV": str(function)}


_servers: list[subprocess.Popen[bytes]] = []  # who drops one closes its standard input, which ends it


def _ask(meeting: str, arguments: list[str]) -> None:
    """Have the server run a script as this process would, and end as the script does."""
    request = json.dumps({"arguments": arguments, "folder": str(Path.cwd()), "environment": dict(os.environ)}).encode()
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(meeting)
        socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(request)
        code = int(server.makefile().readline())
    if code < 0:
        os.kill(os.getpid(), -code)
    os._exit(code)


def _serve(meeting: str) -> None:
    """Answer requests until the standard input ends; return in each fork that is to run a script."""
    sys.path[:] = sys.path[1:]  # the folder of this file
    for name in IMPORTS:
        __import__(name)
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(meeting)
        listener.listen(64)
        print("ready", flush=True)
        while listener in (ready := select.select([listener, sys.stdin], [], [])[0]) and sys.stdin not in ready:
            client = listener.accept()[0]
            if not os.fork():
                listener.close()
                return _keep(client)
            client.close()
    Path(meeting).with_name("python.sh").unlink()
    Path(meeting).unlink()
    Path(meeting).parent.rmdir()
    os._exit(0)


def _keep(client: socket.socket) -> None:
    """Fork for the script of a request and tell the client how it ended; a client that is gone takes it along."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    header, streams, _, _ = socket.recv_fds(client, 8, 3)
    with client.makefile("rb") as sent:
        request = json.loads(sent.read(int.from_bytes(header, "big")))
    child = os.fork()
    if not child:
        client.close()
        return _run(streams, **request)
    while not (ended := os.waitpid(child, os.WNOHANG))[0]:
        if select.select([client], [], [], 0.02)[0]:
            os.kill(child, signal.SIGTERM)
            os._exit(1)
    client.sendall(f"{os.waitstatus_to_exitcode(ended[1])}\n".encode())
    os._exit(0)


def _run(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
    runpy.run_path(str(Path(arguments[0]).resolve()), run_name="__main__")


if __name__ == "__main__":
    if sys.argv[2] == "--serve":
        _serve(sys.argv[1])
    else:
        _ask(sys.argv[1], sys.argv[2:])
