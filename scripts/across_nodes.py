"""Start a training or prediction on every node of this Slurm job: torchrun on each, one process for each GPU.

python scripts/across_nodes.py --nodes 2 --gpus 4 --threads 32 scripts/train.py --recipe recipe.yaml ...

For one node, torchrun --standalone does the same under any scheduler.
"""

import argparse
import os
import shutil
import socket
import sys
from pathlib import Path

from melanoma.common.cli import log, start_logging
from melanoma.common.errors import InputError
from melanoma.compute.preemption import scheduler_job

# The rendezvous port follows from the job number, so that two jobs with the same first node have different ports.
FIRST_PORT, PORTS = 20_000, 20_000


def command_line(nodes: int, gpus: int, threads: int, command: list[str]) -> list[str]:
    """Return the command line that starts a script with its options on `nodes` nodes with `gpus` GPUs each, or 0.

    All numbers are given, because srun cannot see those of the allocation inside Snakemake's job step.
    """
    job = os.environ["SLURM_JOB_ID"]
    endpoint = f"{socket.gethostname()}:{FIRST_PORT + int(job) % PORTS}"
    srun = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", f"--cpus-per-task={threads}"]
    srun += [f"--gpus-per-node={gpus}"] if gpus else []
    # Otherwise the other nodes would wait for one whose processes have failed.
    srun += ["--kill-on-bad-exit=1"]
    torchrun = ["torchrun", f"--nnodes={nodes}", f"--nproc-per-node={max(gpus, 1)}"]
    torchrun += [f"--rdzv-id={job}", "--rdzv-backend=c10d", f"--rdzv-endpoint={endpoint}"]
    # Without --, torchrun would read the script's --log as an abbreviation of its own option.
    return [*srun, *torchrun, "--", *command]


def log_file(command: list[str]) -> Path | None:
    """Return the log file that the script's option names, so that an error before its start is there too."""
    return Path(command[command.index("--log") + 1]) if "--log" in command[:-1] else None


def main() -> None:
    """Become srun; exit 1 with a message if this is no Slurm job."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("nodes", "gpus", "threads"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("command", nargs=argparse.REMAINDER, help="the script and its options")
    args = parser.parse_args()
    start_logging(log_file(args.command))
    if "SLURM_JOB_ID" not in os.environ or shutil.which("srun") is None:
        raise InputError(
            f"The recipe asks for {args.nodes} nodes, and this is no Slurm job (host {socket.gethostname()}, scheduler"
            f" job {scheduler_job() or 'none'}): use --profile slurm, or set the model's resources.nodes to 1 and"
            " resources.gpus to the GPUs of one node, which every profile can do."
        )
    line = command_line(args.nodes, args.gpus, args.threads, args.command)
    os.execvp(line[0], line)


if __name__ == "__main__":
    try:
        main()
    except InputError as error:
        log.error("%s", error)
        sys.exit(1)
