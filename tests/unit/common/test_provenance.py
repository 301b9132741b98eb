"""The commit of the code is read, and nothing is written in the checkout for it."""

import os
import subprocess
from pathlib import Path

import pytest

from melanoma.common import provenance


def test_the_commit_and_whether_a_file_differs_are_told_and_the_index_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(["git", *arguments], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.commit() is None
    file, index = tmp_path / "file", tmp_path / ".git/index"
    file.write_text("a")
    git("init")
    git("add", "file")
    git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "-m", "first")
    os.utime(file, (10**9, 10**9))  # git would write the new time into its index
    before = index.read_bytes()
    found = provenance.commit()
    assert found is not None and len(found["digest"]) == 40 and not found["changed"]
    assert index.read_bytes() == before
    file.write_text("b")
    changed = provenance.commit()
    assert changed == {"digest": found["digest"], "changed": True}
