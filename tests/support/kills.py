"""Kills of Snakemake at random moments of the tiny study, and a watch over its trainings.

KILLS=20 python -m pytest -n 0 tests/workflow/test_kills.py -k random_moments    on this machine alone
KILLS=20 python -m pytest -n 2 tests/cluster -k random_moments                   on a real Slurm and a real Grid Engine

KILL_SEED draws other moments. On a busy machine, 20 kills take an hour.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import psutil

from golden import digests
from workflow import TINY_EXTERNAL

KILLS, SEED = int(os.environ.get("KILLS", 0)), int(os.environ.get("KILL_SEED", 1))
STUDY = Path("results/tiny")
# A kill comes when so many jobs have started or ended, and some seconds later: its moment may be anywhere in the study,
# whatever the load.
EVENTS, SECONDS = 5, 12.0
OPTIONS = (*TINY_EXTERNAL, "--printshellcmds")  # with it, Snakemake says when a job starts or ends
EVENT = re.compile(r"^\[\w{3} \w{3} .*\]$", re.MULTILINE)
LATE = ("evaluate", "report")
Started = tuple[subprocess.Popen[bytes], Path]  # a Snakemake, and the file of what it prints


class TrainingWatch(threading.Thread):
    """Looks at all processes, several times a second: which train into which folder below `folder`.

    `seen` are the folders of checkpoints, `at_once` those into which two processes trained at one time.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder = folder
        self.seen: set[str] = set()
        self.at_once: list[tuple[str, list[int]]] = []
        self._ended = threading.Event()

    def __enter__(self) -> "TrainingWatch":
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self.join()

    def run(self) -> None:
        while not self._ended.wait(0.2):
            for checkpoints, trainings in self._trainings().items():
                self.seen.add(checkpoints)
                # One that ended during this look was not beside one that has started since.
                alive = [process.pid for process in trainings if _is_alive(process)]
                if len(alive) > 1:
                    self.at_once.append((checkpoints, alive))

    def _trainings(self) -> dict[str, list[psutil.Process]]:
        found = defaultdict(list)
        for process in psutil.process_iter():
            try:
                words = process.cmdline()
                if not any(word.endswith("scripts/train.py") for word in words) or process.cwd() != str(self.folder):
                    continue
                parent = process.parent()
                if parent is None or parent.cmdline() != words:  # else a fork, that becomes another program
                    found[words[words.index("--resume") + 1]].append(process)
            except psutil.Error:
                continue
        return found


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def assert_same_bits_after_kills(folder: Path, start: Callable[[], Started], finished: Path) -> None:
    """Kill KILLS Snakemakes of the tiny study, which `start` starts in `folder` with OPTIONS; the next must end it.

    Where the study ends before its kill, a random part of its results is deleted. In the end it must have the bits of
    the study in `finished`. No fold was trained by two processes at once, and nothing temporary is left.
    """
    draw = random.Random(SEED)
    with TrainingWatch(folder) as watch:
        kills = 0
        while kills < KILLS:
            run, printed = start()
            events, seconds = draw.randint(0, EVENTS), draw.uniform(0, SECONDS)
            if _runs_until(run, printed, events, seconds):
                run.send_signal(signal.SIGKILL)
                run.wait()
                kills += 1
                files = sum(path.is_file() for path in (folder / STUDY).rglob("*"))
                print(f"kill {kills}: {events} events and {seconds:.1f} s; {files} files of results", flush=True)
            else:
                assert run.returncode == 0, printed.read_text()[-6000:]
                print("the study has ended; deleted:", *_delete_some(folder / STUDY, draw), flush=True)
        run, printed = start()
        assert run.wait() == 0, printed.read_text()[-6000:]
    assert watch.at_once == []
    trained = {path.parent.relative_to(folder) for path in (folder / STUDY).rglob("history.csv")}
    assert trained <= {path.parent for path in map(Path, watch.seen)}
    assert digests(folder / STUDY) == digests(finished / STUDY)
    assert not list(folder.rglob("*.tmp")) and not list(folder.glob("results/tiny/train/*/*/resume"))


def _runs_until(run: subprocess.Popen[bytes], printed: Path, events: int, seconds: float) -> bool:
    """Wait until so many jobs have started or ended, and some seconds more. Tell whether Snakemake runs still."""
    while len(EVENT.findall(printed.read_text())) < events:
        if run.poll() is not None:
            return False
        time.sleep(0.1)
    time.sleep(seconds)
    return run.poll() is None


def _delete_some(results: Path, draw: random.Random) -> list[str]:
    """Delete what comes last and a random part of what comes before; return the names of it."""
    earlier = sorted(path for path in [*results.glob("train/*/*"), *results.glob("predict/*")])
    deleted = [results / name for name in LATE] + draw.sample(earlier, len(earlier) // 2)
    for path in deleted:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return [path.relative_to(results).as_posix() for path in deleted]
