"""docs/privacy.md has each kind of file of a study, and no file has the user's name or home folder."""

import re
from pathlib import Path

import pytest

from project import ROOT
from workflow import USER

PAGE = (ROOT / "docs" / "privacy.md").read_text()


def kinds(heading: str) -> list[re.Pattern[str]]:
    """Return a pattern for each path in the first column below a heading: * is a name, ** also folders."""
    rows = re.findall(r"^\| (`.*?`) \|", PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0], re.MULTILINE)
    globs = [glob for row in rows for glob in re.findall("`(.+?)`", row)]
    return [re.compile(re.escape(glob).replace(r"\*\*", ".*").replace(r"\*", "[^/]*")) for glob in globs]


def unknown(folder: Path, heading: str) -> list[str]:
    """Return the files in a folder that are on no line below the heading."""
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert names
    known = kinds(heading)
    return sorted(name for name in names if not any(kind.fullmatch(name) for kind in known))


@pytest.mark.xdist_group("finished")
@pytest.mark.parametrize("place", ["results", "logs"])
def test_the_page_says_what_each_file_of_a_finished_study_holds(finished, place):
    folder, _ = finished
    assert unknown(folder / place / "tiny", f"`{place}/<study>/`") == []


def test_a_new_kind_of_file_is_not_on_the_page(tmp_path):
    for name in ("predict/cnn.parquet", "predict/cnn/fold-0.parquet", "predict/cnn.csv", "patients.parquet"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert unknown(tmp_path, "`results/<study>/`") == ["patients.parquet", "predict/cnn.csv"]


@pytest.mark.xdist_group("finished")
def test_neither_logs_nor_records_have_the_user_or_the_home_folder(finished):
    """The project is in the home folder, so each full path would show it."""
    project, _ = finished
    assert USER in project.parts[-2]
    files = [path for name in ("results", "logs") for path in (project / name).rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert {"record.json", "plan.json", "drawn.log", "drawn.tsv", "report.html"} <= names
    assert [path for path in files if USER.encode() in path.read_bytes()] == []
