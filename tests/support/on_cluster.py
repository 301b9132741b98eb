"""Studies on a real scheduler: prepared once on this machine alone, copied for each test, compared bit for bit."""

import copy
import fcntl
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file

from melanoma.config.facts import training_name
from melanoma.config.study import resolve
from project import ROOT
from workflow import SNAKEMAKE, clone

LONGEST = 500  # seconds that anything takes on a slow machine, but for whole studies
TINY = "tests/studies/tiny.yaml"
FAULTS = "tests/studies/faults.yaml"
# As long as it takes to be hurt in; longer than the shortest limit a scheduler enforces, which is a minute.
BRIEF, LONG = 20, 70
HURT = ("cancelled", "requeued", "preempted", "evicted", "stranded", "orphaned", "unattended")
HURT_LATE = ("limited", "rescheduled")  # these train as long as `long`: what is done to them takes its time
# A network without batch norm before its last layer: only the order of sums depends on the number of processes. A
# larger learning rate would make 1e-5 of the rounding.
NO_BATCH_NORM = {
    "baseline_cnn": {"channels": [8], "kernels": [3], "padding": "same", "pooling": "average", "hidden": []},
    "optimizer": {"name": "sgd", "learning_rate": 0.01},
    "epochs": 2,
}


def write_faults_study(folder: Path, brief: int, long: int) -> None:
    """Write a study of models that learn the same, from the tiny study: one for each thing that is done to a job."""
    study = yaml.safe_load((folder / TINY).read_text())
    del study["fusions"]
    study["split"]["run_folds"] = [0]
    network = study["models"]["cnn"] | {"monitor": "last", "schedule": {"name": "constant"}}

    def model(resources: dict | None = None, **recipe: object) -> dict:
        made = copy.deepcopy(network) | recipe
        made["resources"] |= resources or {}
        return made

    study["study"] = "faults"
    study["models"] = {name: model(epochs=brief) for name in ("brief", *HURT)}
    study["models"] |= {name: model(epochs=long) for name in ("long", "rescheduled")}
    study["models"] |= {"limited": model({"runtime": 1}, epochs=long)}
    study["models"] |= {name: model({"gpus": 1}, epochs=brief) for name in ("gpu_a", "gpu_b")}
    study["models"] |= {name: model(**NO_BATCH_NORM) for name in ("alone", "again")}
    study["models"] |= {"spanning": model({"nodes": 2}, **NO_BATCH_NORM)}
    study["models"] |= {"greedy": model({"gpus": 8}, epochs=brief)}
    # A gradient is never so long: it changes no bit, and each model has a training of its own.
    for number, recipe in enumerate(study["models"].values()):
        recipe["optimizer"] = recipe.get("optimizer", {}) | {"max_grad_norm": 1e6 + number}
    (folder / FAULTS).write_text(yaml.safe_dump(study))


def training_of(folder: Path, model: str) -> str:
    """The name of a model's training in the faults study of a folder."""
    return training_name(resolve(yaml.safe_load((folder / FAULTS).read_text())).models[model])


def weights(folder: Path, *models: str) -> list[str]:
    """The files whose making trains these models."""
    return [f"results/faults/train/{training_of(folder, model)}/fold-0/weights.safetensors" for model in models]


@contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Keep other processes that ask for the same lock waiting."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def prepared(folder: Path) -> Path:
    """Return a clone in `folder` where the references are done; who comes second waits for it."""
    folder.mkdir(exist_ok=True)
    with one_at_a_time(folder.parent / f"{folder.name}.lock"):
        if not (folder / "done").exists():
            _prepare(folder)
            (folder / "done").touch()
    return folder


def _prepare(folder: Path) -> None:
    clone(folder)
    trial = 200
    write_faults_study(folder, trial, trial)
    Snakemake(folder, *weights(folder, "brief", "alone"), "--cores", 2, "--configfile", FAULTS).succeeded()
    # The most epochs within a second are what this machine does when nothing else is in its way.
    seconds = re.findall(r"^(\S+ \S+) INFO epoch", log_of(folder, "brief"), re.MULTILINE)
    ((_, speed),) = Counter(seconds).most_common(1)
    write_faults_study(folder, BRIEF * speed, LONG * speed)
    Snakemake(folder, *weights(folder, "brief", "long"), "--cores", 2, "--configfile", FAULTS).succeeded()


def copied(prepared: Path, folder: Path) -> Path:
    """Return a copy with none of the models that tests train."""
    trained = [training_of(prepared, model) for model in ("again", "spanning", "gpu_a", "gpu_b", *HURT, *HURT_LATE)]
    shutil.copytree(prepared, folder, ignore=shutil.ignore_patterns(*trained, "done"), dirs_exist_ok=True)
    return folder


class Snakemake:
    """One run of snakemake in a folder, as from a shell without an activated environment, its output kept in a file.

    A `steady` one looks at Slurm's jobs at equal intervals.
    """

    def __init__(self, folder: Path, *options: object, profile: str | None = None, steady: bool = False) -> None:
        self.folder = folder
        self.file = folder / f"snakemake-{time.monotonic_ns()}.txt"
        path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != SNAKEMAKE.parent)
        program = [sys.executable, str(ROOT / "tests/support/steady_slurm.py")] if steady else [str(SNAKEMAKE)]
        command = [*program, *map(str, options), *(("--profile", profile) if profile else ())]
        with self.file.open("w") as output:
            self.process = subprocess.Popen(
                command, cwd=folder, env=os.environ | {"PATH": path}, stdout=output, stderr=subprocess.STDOUT
            )

    def printed(self) -> str:
        return self.file.read_text()

    def ended(self, seconds: float) -> int:
        """Wait for its end and return the exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise AssertionError(f"still running after {seconds} s: {self.printed()[-6000:]}") from None

    def succeeded(self, seconds: float = LONGEST) -> str:
        """Wait for its end, which must be a success, and return what it printed."""
        assert self.ended(seconds) == 0, self.printed()[-6000:]
        return self.printed()

    def failed(self, seconds: float = LONGEST) -> str:
        """Wait for its end, which must be a failure, and return what it printed."""
        assert self.ended(seconds) == 1, self.printed()[-6000:]
        return self.printed()

    def killed(self) -> None:
        """Kill it as a machine that goes down does."""
        self.process.kill()
        self.process.wait()


def training(folder: Path, models: list[str], *options: object, profile: str, steady: bool = False) -> Snakemake:
    """Start Snakemake on these models of the faults study."""
    targets = (*weights(folder, *models), "--configfile", FAULTS)
    return Snakemake(folder, *targets, *options, profile=profile, steady=steady)


def called(*command: object) -> str:
    """What a scheduler's command, which must succeed, prints."""
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True, timeout=60).stdout


def does_not_answer(daemon: Path, seconds: float) -> None:
    """Let the daemon of this PID file stand still for some seconds."""
    process = int(daemon.read_text())
    os.kill(process, signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(process, signal.SIGCONT)


def wait_until(true: Callable[[], object], what: str, seconds: float = LONGEST) -> object:
    """Return the first answer of `true` that is not empty."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if answer := true():
            return answer
        time.sleep(0.2)
    raise AssertionError(f"not within {seconds} s: {what}")


def log_of(folder: Path, model: str) -> str:
    """What the newest attempt to train a model says: Snakemake removes the log of the one before."""
    path = folder / f"logs/faults/train/{training_of(folder, model)}/fold-0.log"
    return path.read_text() if path.exists() else ""


def wait_until_it_trains(folder: Path, model: str) -> None:
    """Wait until a model's job has checkpoints to go on from."""
    wait_until(lambda: "INFO epoch 3 of" in log_of(folder, model), f"{model} trains")


def assert_same_bits(folder: Path, model: str, expected: Path, reference: str) -> None:
    """Every weight and every epoch's loss of a model must be those of another model, trained elsewhere."""
    found, wanted = (
        root / f"results/faults/train/{training_of(root, name)}/fold-0"
        for root, name in ((folder, model), (expected, reference))
    )
    assert (found / "history.csv").read_bytes() == (wanted / "history.csv").read_bytes(), model
    left, right = (load_file(path / "weights.safetensors") for path in (found, wanted))
    assert left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left), model
    assert not (found / "resume").exists() and not list(found.rglob("*.tmp"))


def assert_went_on(folder: Path, expected: Path, *models: str) -> None:
    """Each model's last job must have gone on from another's checkpoint and ended in the bits of its reference."""
    for model in models:
        assert_same_bits(folder, model, expected, "long" if model in HURT_LATE else "brief")
        assert "INFO continuing from" in log_of(folder, model), model


def assert_went_on_within_its_limit(folder: Path, expected: Path, printed: str) -> None:
    """The model `limited` must have ended in the bits of `long`, having left a job of a minute by its own clock."""
    assert_same_bits(folder, "limited", expected, "long")
    assert (
        f"{training_of(folder, 'limited')}/fold-0.log:" in printed
        and "stopped by the end of its 1 minutes after batch" in printed
    )


def assert_same_study(folder: Path, expected: Path) -> None:
    """Every prediction and every figure of the demo study must be the same, bit for bit."""
    names = [path.relative_to(expected) for path in (expected / "results/demo").rglob("*.parquet")]
    assert len([name for name in names if name.parts[2] in {"predict", "fuse"}]) >= 20
    for name in (*names, Path("results/demo/evaluate/metrics.json")):
        assert (folder / name).read_bytes() == (expected / name).read_bytes(), name
    assert (folder / "results/demo/report/report.html").exists()
