"""Paths and texts of a study reach the programs unchanged, even with special characters of the shell."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from file_server import serving
from melanoma.common.files import read_json, write_json
from melanoma.config.data import Source
from workflow import clone, snakemake

HOSTILE = """a b;touch hacked $(touch hacked2)'"`touch hacked3`&#*"""
URL = f"http://nowhere.invalid/{HOSTILE}"
# In place of the programs that the rules start: their arguments, one a line.
PRINT_ARGUMENTS = 'python() { printf "%s\\n" "$@"; }; torchrun() { python "$@"; }; set -e\n'


def free(name: str) -> str:
    return f"data/{HOSTILE}{name}"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    folder = clone(tmp_path / "project")
    (folder / "data").mkdir()
    return folder


def write_study(folder: Path, study: dict[str, Any]) -> None:
    (folder / "study.yaml").write_text(json.dumps({"study": "s"} | study))


def arguments(printed: str, folder: Path) -> list[str]:
    """Return what the commands that a dry run printed hand to their programs, as a shell reads them in `folder`."""
    folder.mkdir()
    commands = "\n".join(re.findall(r"^Shell command: (python .*|torchrun .*)$", printed, re.MULTILINE))
    script = folder.parent / "commands.sh"
    script.write_text(PRINT_ARGUMENTS + commands)
    done = subprocess.run(["bash", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_free_text_of_a_study_is_one_argument_or_none(project: Path, tmp_path: Path) -> None:
    columns = {name: f"{HOSTILE}{name}" for name in ("image", "patient", "target")}
    table = {"name": "clinic", "layout": "columns", "columns": columns, "table": free(".csv")}
    table |= {"metadata": free("m.csv"), "images": [free("i")], "values": {"target": {HOSTILE: 1}}}
    predefined = {"table": free("p.csv"), "image": HOSTILE, "column": HOSTILE, "test": [HOSTILE], "folds": [[1], [2]]}
    split = {"method": "predefined", "predefined": predefined, "duplicates": free("d.csv"), "folds": 2}
    backbone = {"network": "timm/resnet18", "backbone": {"weights": free("w.pth")}}
    fetched = {free("i"): {"url": URL, "unzip": "folder"}, free("w.pth"): {"url": URL, "sha256": HOSTILE}}
    study = {
        "data": {"sources": [table, {"name": "drawn", "generate": {"images": 60}}]},
        "split": split,
        "fetch": fetched,
        "evaluate": {"robustness": [1, 5]},
        "classify": {
            "new": {"bundle": free("b"), "images": [free("n"), free("n.jpg")], "table": free("t.csv")}
            | {"threshold": HOSTILE}
        },
        "models": {
            "theirs": {"network": "external_predictions", "file": free("f.csv")},
            "net": backbone | {"optimizer": {"groups": [{"match": re.escape(HOSTILE), "learning_rate": 0.1}]}},
        },
    }
    write_study(project, study)
    for name in (".csv", "m.csv", "p.csv", "d.csv", "f.csv", "n", "n.jpg", "t.csv"):
        (project / free(name)).touch()
    write_json(project / free("b") / "bundle.json", {"thresholds": {HOSTILE: 0.5}})

    given = arguments(snakemake(project, "-n", "-p", "--configfile", "study.yaml"), tmp_path / "shell")

    free_texts = {text for text in given if HOSTILE in text and not text.startswith("{")}
    fetched = {free("i"), free("w.pth"), f"--url={URL}", f"--sha256={HOSTILE}"}
    classified = {free("n"), free("n.jpg"), f"--bundle={free('b')}", f"--table={free('t.csv')}"}
    assert free_texts == {free("f.csv"), *fetched, *classified, f"--threshold={HOSTILE}"}
    sections = [json.loads(text) for text in given if text.startswith("{")]
    assert any(section.items() >= split.items() for section in sections)
    read = Source(**table).model_dump(mode="json", exclude={"generate"})
    assert any(read in section.get("sources", []) for section in sections)
    assert not list((tmp_path / "shell").iterdir())


@pytest.mark.large
def test_a_study_of_such_paths_runs_and_runs_nothing_else(project: Path) -> None:
    images = [f"I_{number}" for number in range(60)]
    with serving() as server:
        rows = [f"{image},P_{n},male,50,torso,{n % 2},100,100" for n, image in enumerate(images)]
        header = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,target,width,height"
        server.files["/table"] = "\n".join([header, *rows]).encode()
        (project / free("f.csv")).write_text("\n".join(["image_name,target", *(f"{image},0.5" for image in images)]))
        (project / free("d.csv")).write_text("first,second\nI_0,I_1\n")
        write_study(
            project,
            {
                "data": {"sources": [{"name": "clinic", "table": free(".csv"), "images": None}]},
                "split": {"duplicates": free("d.csv")},
                "fetch": {free(".csv"): {"url": f"{server.url}/table"}},
                "models": {"theirs": {"network": "external_predictions", "file": free("f.csv")}},
            },
        )
        targets = ("results/s/predict/theirs.parquet", "results/s/split/leakage.json")
        snakemake(project, *targets, "--cores", 2, "--configfile", "study.yaml")
    assert read_json(project / targets[1])["checked"]["duplicate_pairs"] == 1
    assert [path.name for path in project.rglob("hacked*")] == []
