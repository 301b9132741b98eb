"""Commands of a cluster that print what a test gives them, in a folder in front of PATH."""

import os
from pathlib import Path

import pytest


class FakeCommands:
    """A folder in front of PATH."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        folder.mkdir()
        monkeypatch.setenv("PATH", os.pathsep.join([str(folder), os.environ["PATH"]]))

    def says(self, name: str, answer: str, code: int = 0, only_if: str = "") -> None:
        """Let the command `name` print `answer` and exit with `code`, where its arguments contain `only_if`."""
        text = self.folder / f"{name}{only_if}.txt"
        text.write_text(answer)
        script = self.folder / name
        lines = script.read_text() if script.exists() and only_if else "#!/bin/sh\n"
        script.write_text(f'{lines}case "$*" in *"{only_if}"*) cat "{text}"; exit {code};; esac\n')
        script.chmod(0o755)

    def hangs(self, name: str) -> None:
        """Let the command `name` give no answer."""
        (self.folder / name).write_text("#!/bin/sh\nexec sleep 60\n")
        (self.folder / name).chmod(0o755)


def fake_slurm(folder: Path, monkeypatch: pytest.MonkeyPatch, account: str = "lab") -> None:
    """Put the commands of a Slurm cluster in front of PATH that has what profiles/slurm asks for, and one account."""
    commands = FakeCommands(folder, monkeypatch)
    commands.says("sinfo", "cpu*|1-00:00:00|128000|64|(null)|up\ngpu|1-00:00:00|512000|64|gpu:a100:8|up\n")
    commands.says("sacctmgr", f"{account}\n")
    commands.says("squeue", "")
