"""The table of docs/reruns.md: the rules that each change of a finished study runs again."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from project import ROOT
from workflow import TINY_EXTERNAL, clone, jobs, planned, snakemake

pytestmark = pytest.mark.xdist_group("finished")

SETTINGS = {"write_settings", "write_recipe", "write_trial", "all"}
COMPARES = {
    "select_model",
    "audit_models",
    "evaluate",
    "analyze_shortcuts",
    "explain",
    "plot_evaluation",
    "write_report",
}
TABLE = re.findall(r"^\| (.+?) \| (.+?) \|$", (ROOT / "docs/reruns.md").read_text(), re.MULTILINE)[1:]


def rerun(folder: Path, change: Callable[[dict[str, Any]], None]) -> tuple[set[str], str]:
    """Return the rules that a change of the tiny study runs, but those that write settings, and what was printed."""
    study, external = (yaml.safe_load((folder / file).read_text()) for file in TINY_EXTERNAL[1:])
    study |= external
    change(study)
    file = folder / "tests/studies/changed.yaml"
    file.write_text(yaml.safe_dump(study, sort_keys=False))
    printed = snakemake(folder, "-n", "--configfile", file)
    return set(jobs(printed)) - SETTINGS, printed


def how_computed(study: dict[str, Any]) -> None:
    study["models"]["cnn"]["resources"] |= {"mem_mb": 9000, "runtime": 99, "threads": 2, "gpus": 1}
    study["models"]["cnn"] |= {"checkpoint_batches": 7, "checkpoint_minutes": 3}


def images_computed(study: dict[str, Any]) -> None:
    study["images"] |= {"threads": 2, "shards": 5}


def unread(study: dict[str, Any]) -> None:
    study["models"]["cnn"]["tta"] = {"n": 3}
    study["models"]["cnn"]["optimizer"] = {"momentum": 0.5}
    study["models"]["cnn"]["augmentation"] = {"blur": {"sigma": [1.0, 2.0]}}


def put(*keys: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(study: dict[str, Any]) -> None:
        for key in keys[:-1]:
            study = study.setdefault(key, {})
        study[keys[-1]] = value

    return change


def renamed(study: dict[str, Any]) -> None:
    text = yaml.safe_dump(study, sort_keys=False)
    study |= yaml.safe_load(re.sub(r"\bcnn\b", "network", text))
    study["models"]["network"] = study["models"].pop("network")


def more_trials(study: dict[str, Any]) -> None:
    study["models"]["joint"]["tune"]["space"]["optimizer.learning_rate"].insert(0, 0.1)


def another_test(study: dict[str, Any]) -> None:
    drawn = {"images": 20, "first_image": 3001}
    study["data"]["sources"].append({"name": "another", "role": "test", "generate": drawn})


PREDICTS = {"predict"}
FUSES = {"fuse"}
NEIGHBORS = {
    "network": "nearest_neighbors",
    "nearest_neighbors": {"network": "timm/resnet10t"},
    "backbone": {"pretrained": False},
}
TRAINS = {"train_fold", "train_trial", "train_refit"}
# What is in the table in words, as rules: those that must run, and those that must not.
CHANGES: dict[str, tuple[Callable[[dict[str, Any]], None], set[str], set[str]]] = {
    "memory, run time, threads, GPUs or checkpoints of a model": (how_computed, set(), set()),
    "`images.threads`, or `images.shards` once the images are prepared": (images_computed, set(), set()),
    "an option without effect, such as `tta.n` with flips": (unread, set(), set()),
    "`evaluate.max_test_configurations`": (put("evaluate", "max_test_configurations", value=3), set(), set()),
    "`evaluate.threshold_probabilities`": (put("evaluate", "threshold_probabilities", value=[0.1]), set(), set()),
    "`report.identifiers`, or `report.shareable`": (put("report", "shareable", value=True), set(), set()),
    "`evaluate.prevalence`": (put("evaluate", "prevalence", value=0.02), set(), set()),
    "a new entry of `classify` with the bundle of the study": (
        put("classify", "new", value={"bundle": "results/tiny/bundle", "images": "results/tiny/demo/drawn/jpeg"}),
        set(),
        set(),
    ),
    "`evaluate.robustness`": (put("evaluate", "robustness", value=[1]), set(), set()),
    "`fuse.significance_level`": (put("fuse", "significance_level", value=0.1), set(), set()),
    "a new name for a model": (renamed, PREDICTS | FUSES | COMPARES, TRAINS),
    "`tta` of a model, but `frame`": (
        put("models", "cnn", "tta", value={"name": "flips"}),
        PREDICTS | FUSES | COMPARES,
        TRAINS,
    ),
    "a new model of frozen features": (
        put("models", "neighbors", value=NEIGHBORS),
        {"embed", "predict_tabular"} | COMPARES,
        TRAINS | PREDICTS | FUSES,
    ),
    "a new fusion": (
        put("fusions", "added", value={"members": ["cnn", "joint"]}),
        FUSES | COMPARES - {"audit_models"},
        TRAINS | PREDICTS,
    ),
    "the learning rate of a model": (
        put("models", "cnn", "optimizer", value={"learning_rate": 0.5}),
        {"train_fold"} | PREDICTS | FUSES | COMPARES,
        {"train_trial"},
    ),
    "a new value in a search space": (
        more_trials,
        {"train_trial", "select_recipe", "train_fold"} | PREDICTS | COMPARES,
        set(),
    ),
    "`images.size`": (
        put("images", "size", value=40),
        {"prepare_shard", "merge_shards"} | TRAINS - {"train_refit"} | PREDICTS | FUSES | COMPARES,
        {"draw_lesions", "build_catalog", "find_near_duplicates"},
    ),
    "`split.seed`": (
        put("split", "seed", value=2),
        {"split_study", "check_leakage"} | TRAINS - {"train_refit"} | PREDICTS | FUSES | COMPARES,
        {"draw_lesions", "build_catalog", "prepare_shard", "merge_shards", "find_near_duplicates"},
    ),
    "a new source of role `test` or `predict`": (
        another_test,
        {"build_catalog", "prepare_shard", "find_near_duplicates", "split_study"}
        | {"predict_external", "predict_external_tabular", "evaluate_external"}
        | COMPARES,
        set(),
    ),
    "`study`": (put("study", value="other"), {"draw_lesions", "build_catalog", "prepare_shard"} | COMPARES, set()),
}


@pytest.mark.parametrize(("change", "said"), [row for row in TABLE if row[0] in CHANGES], ids=lambda text: text[:40])
def test_a_change_of_the_study_runs_what_the_table_says(finished, change, said):
    folder, _ = finished
    edit, must, must_not = CHANGES[change]
    again, printed = rerun(folder, edit)
    if said == "nothing" or said.startswith("`"):
        assert again | {"write_report"} == set(re.findall(r"`(\w+)`", said)) | {"write_report"}, printed
    else:
        assert must <= again and not must_not & again, printed


def test_every_row_of_the_table_is_tested():
    others = {
        "touched files, or the same code pulled again",
        "a comment, a docstring or a message in the code",
        "results copied elsewhere, and `python scripts/restore.py results/<study>`",
        "a text of the report",
        "the code of a fusion",
    }
    assert {change for change, _ in TABLE} == set(CHANGES) | others


def test_the_learning_rate_trains_its_model_alone(finished):
    folder, _ = finished
    _, printed = rerun(folder, put("models", "cnn", "optimizer", value={"learning_rate": 0.5}))
    assert jobs(printed)["train_fold"] == 2


def test_a_value_added_to_a_search_space_trains_one_trial(finished):
    folder, _ = finished
    _, printed = rerun(folder, more_trials)
    assert jobs(printed)["train_trial"] == 1 and jobs(printed)["select_recipe"] == 1


def test_models_that_differ_in_their_prediction_alone_share_a_training(finished):
    folder, _ = finished

    def twin(study: dict[str, Any]) -> None:
        study["models"]["twin"] = study["models"]["cnn"] | {"tta": {"name": "flips"}}

    again, _ = rerun(folder, twin)
    assert "predict" in again and not again & TRAINS


def test_touched_files_run_nothing(finished):
    """A clone or pull gives every file a new time and leaves its content."""
    folder, _ = finished
    for path in [*(folder / "scripts").rglob("*.py"), *(folder / "rules").iterdir(), folder / "config.yaml"]:
        path.touch()
    assert planned(folder, *TINY_EXTERNAL) == {}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("scripts/melanoma/fusion/rules.py", "\n\n\n", "\n\n\n# A comment.\n"),
        ("scripts/melanoma/fusion/rules.py", '"""', '"""Another docstring. '),
        ("scripts/melanoma/split/assign.py", "raise InputError(", "raise InputError(str(1) + "),
        ("scripts/train.py", 'log.info("the best epoch is', 'log.info("and the best epoch is'),
        ("scripts/train.py", 'help="use this seed instead of the recipe\'s"', 'help="another seed"'),
        ("scripts/melanoma/config/networks.py", 'description="Number of trees."', 'description="How many trees."'),
        ("scripts/melanoma/common/errors.py", "limit: int = 10", "limit: int = 11"),
    ],
)
def test_a_text_in_the_code_runs_nothing(finished, file, old, new):
    folder, _ = finished
    module = folder / file
    before = module.read_text()
    assert old in before
    try:
        module.write_text(before.replace(old, new, 1))
        assert planned(folder, *TINY_EXTERNAL) == {}
    finally:
        module.write_text(before)


def test_the_code_of_a_fusion_runs_fusions_again_and_no_training(finished):
    folder, _ = finished
    module = folder / "scripts/melanoma/fusion/rules.py"
    before = module.read_text()
    try:
        module.write_text(before + "\nEDITED = True\n")
        again = set(planned(folder, *TINY_EXTERNAL))
    finally:
        module.write_text(before)
    assert again >= FUSES | COMPARES - {"audit_models"}
    assert not again & {"build_catalog", "prepare_shard", "split_study", "predict"} | (again & TRAINS)


def test_a_text_of_the_report_writes_the_report_alone(finished):
    folder, _ = finished
    template = folder / "scripts/melanoma/report/templates/report.html.j2"
    before = template.read_text()
    try:
        template.write_text(before + "<!-- edited -->")
        assert set(planned(folder, *TINY_EXTERNAL)) == {"write_report", "all"}
    finally:
        template.write_text(before)


def test_a_deleted_file_is_made_again_when_it_is_asked_for(finished, tmp_path):
    folder, _ = finished
    history = next(folder.glob("results/tiny/train/*/fold-0/history.csv"))
    try:
        history.rename(tmp_path / "kept")
        assert planned(folder, *TINY_EXTERNAL) == {}
    finally:
        (tmp_path / "kept").rename(history)
    assert "train_fold" in planned(folder, *TINY_EXTERNAL, "--forcerun", history.relative_to(folder))


def restore(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the command that restores the record of a copy of results."""
    command = [sys.executable, folder / "scripts/restore.py", "results/tiny"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


@pytest.fixture
def copied(finished, tmp_path):
    """Another clone, with a copy of the finished study's results and logs whose times are those of the copy."""
    folder, _ = finished
    other = clone(tmp_path)
    for name in ("results", "logs"):
        shutil.copytree(folder / name, other / name, copy_function=shutil.copyfile)
    return other


def test_copied_results_run_nothing_once_their_record_is_restored(copied):
    done = restore(copied)
    assert done.returncode == 0, done.stderr
    assert planned(copied, *TINY_EXTERNAL) == {}
    again, _ = rerun(copied, put("fuse", "significance_level", value=0.1))
    assert again == {"select_model", "explain", "plot_evaluation", "write_report"}


def test_a_copied_file_that_is_damaged_is_named_and_nothing_is_restored(copied):
    file = copied / "results/tiny/split/split.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = restore(copied)
    assert done.returncode == 1 and "results/tiny/split/split.parquet" in done.stderr
    assert not (copied / ".snakemake/metadata").exists()


def test_a_table_that_is_not_the_one_the_results_were_made_from_is_named(copied):
    table = copied / "tests/studies/theirs.csv"
    table.write_text(table.read_text().replace("0", "1", 1))
    done = restore(copied)
    assert done.returncode == 1 and "tests/studies/theirs.csv" in done.stderr
