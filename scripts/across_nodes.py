"""Start a training or prediction on every node of this Slurm job: torchrun on each, one process for each GPU.

python scripts/across_nodes.py --nodes 2 --gpus 4 --threads 32 scripts/train.py --recipe recipe.yaml ...

For one node torchrun --standalone does the same under any scheduler.
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

# Rendezvous ports follow from the job's number, so that two jobs whose first node is the same do not meet.
FIRST_PORT, PORTS = 20_000, 20_000


def command_line(nodes: int, gpus: int, threads: int, command: list[str]) -> list[str]:
    """Return what starts `command`, a script and its options, on `nodes` nodes with `gpus` GPUs each; 0 is the CPU.

    Everything is said in full, because Snakemake's job step hides the allocation's own figures from srun.
    """
    job = os.environ["SLURM_JOB_ID"]
    meeting = f"{socket.gethostname()}:{FIRST_PORT + int(job) % PORTS}"
    srun = ["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", f"--cpus-per-task={threads}"]
    srun += [f"--gpus-per-node={gpus}"] if gpus else []
    # When one node's processes have failed, the others would wait for them.
    srun += ["--kill-on-bad-exit=1"]
    torchrun = ["torchrun", f"--nnodes={nodes}", f"--nproc-per-node={max(gpus, 1)}"]
    torchrun += [f"--rdzv-id={job}", "--rdzv-backend=c10d", f"--rdzv-endpoint={meeting}"]
    # Without --, torchrun takes the script's --log for an abbreviation of an option of its own.
    return [*srun, *torchrun, "--", *command]


def log_file(command: list[str]) -> Path | None:
    """Return the log that the script's own option names: what cannot be started is to be found there, too."""
    return Path(command[command.index("--log") + 1]) if "--log" in command[:-1] else None


def main() -> None:
    """Become srun; exit 1 with a message where this is no Slurm job."""
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
