"""The tiny study runs to its report, reads test labels only in evaluation, and stops on bad input."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from melanoma.common.files import read_json
from melanoma.config.facts import pieces, training_name
from melanoma.config.study import resolve
from melanoma.report.sources import read_study
from workflow import (
    LABELS,
    PROJECT,
    TINY_EXTERNAL,
    clone,
    failing,
    finished_rules,
    jobs,
    put_kaggle_tables,
    snakemake,
    unreadable,
)

# The only rules that open the labels of the test.
EVALUATIONS = {
    *("audit_models", "evaluate", "analyze_shortcuts"),
    *("compare_seeds", "evaluate_robustness", "explain"),
}
# The only rule that opens the labels of external tests.
EXTERNAL = {"evaluate_external"}
# One worker runs these, so that the tiny study runs once.
on_finished = pytest.mark.xdist_group("finished")


def trained_as(results: Path, model: str) -> tuple[Path, Path]:
    """Return the folders of the tuning and of the trainings of a model of the tiny study."""
    name = training_name(resolve(yaml.safe_load(Path("tests/studies/tiny.yaml").read_text())).models[model])
    return results / "tune" / name, results / "train" / name


@pytest.mark.large
def test_bad_input_stops_with_its_message_last_on_the_screen_and_in_the_log(tmp_path):
    project = clone(tmp_path)
    put_kaggle_tables(project)
    done = failing(project, "--cores", 2, "--configfile", "studies/isic2020.yaml")
    assert done.returncode != 0
    assert "data/isic2020/jpeg/train" in done.stdout
    assert "data/isic2020/jpeg/train" in (project / "logs/isic2020/build_catalog.log").read_text()


@pytest.mark.large
def test_a_configuration_larger_than_a_command_line_is_written_in_parts(tmp_path):
    project = clone(tmp_path)
    study = yaml.safe_load((project / "tests/studies/tiny.yaml").read_text())
    study["models"] = {f"model_{number}": {"network": "metadata_mlp"} for number in range(100)}
    study["fusions"] = {}
    (project / "large.yaml").write_text(yaml.safe_dump(study))
    count = len(pieces(resolve(study), 64_000))
    files = [f"results/tiny/config/{name}.yaml" for name in ("study", *(f"study-{n}" for n in range(1, count)))]
    snakemake(project, *files, "--cores", 2, "--configfile", "large.yaml")
    assert sum((project / file).stat().st_size for file in files) > 131_072
    assert read_study([project / file for file in files]) == resolve(study)


@on_finished
def test_the_tiny_study_runs_to_its_report_and_prints_the_table(finished):
    folder, printed = finished
    results = folder / "results" / "tiny"
    metrics = read_json(results / "evaluate" / "metrics.json")
    stacked = {"stacked", "stacked_without_context", "boosted"}
    assert set(metrics) == {"cnn", "joint", "logistic", "boosting", "theirs", "mean", "weighted"} | stacked
    assert read_json(results / "fuse" / "selected_model.json")["selected_model"] in metrics
    for model in metrics.values():
        assert model["auroc"]["low"] <= model["auroc"]["value"] <= model["auroc"]["high"]
    assert (results / "evaluate" / "summary.txt").read_text().strip() in printed
    assert any("results/tiny/report/report.html" in line for line in printed.splitlines()[-5:])
    robustness = read_json(results / "evaluate" / "robustness.json")
    assert set(robustness) == {"cnn", "joint"} and set(robustness["cnn"]["corrupted"]["blur"]) == {"3"}
    assert robustness["cnn"]["original"]["value"] == metrics["cnn"]["auroc"]["value"]
    page = (results / "report" / "report.html").read_text()
    assert "data:image/svg+xml" in page and not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert pd.read_csv(results / "report/tables/models.csv")["model"].nunique() == len(metrics)


@on_finished
def test_the_end_of_a_run_is_seen(finished):
    """`--every` ends with the run."""
    folder, _ = finished
    command = [sys.executable, "scripts/watch.py", "results/tiny", "--every", "1"]
    shown = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.splitlines()
    counts = re.fullmatch(r"tiny: (\d+) of (\d+) jobs done; ended", shown[0])
    assert counts and counts[1] == counts[2]
    stages = [line.split()[0] for line in shown[1:]]
    assert (stages[0], stages[-1]) == ("settings", "report") and {"images", "train", "evaluate"} < set(stages)


@on_finished
def test_nothing_is_written_but_results_and_logs(finished):
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} == {*PROJECT, "results", "logs", ".snakemake"}


@on_finished
def test_snakemakes_own_report_holds_the_figures(finished):
    folder, _ = finished
    snakemake(folder, *TINY_EXTERNAL, "--report", "report.html")
    page = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert "roc.svg" in page and "class balance" in page


@on_finished
def test_only_what_evaluates_is_given_test_labels(finished):
    """The labels of the test are one file, beside the catalog that the split is made from."""
    folder, _ = finished
    printed = snakemake(folder, "-n", "--forceall", *TINY_EXTERNAL)
    blocks = re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", printed, re.MULTILINE)
    assert {name for name, inputs in blocks if "test_labels" in inputs} == EVALUATIONS
    assert {name for name, inputs in blocks if "external_labels" in inputs} == EXTERNAL
    assert {name for name, inputs in blocks if "catalog.parquet" in inputs} == {
        *("prepare_shard", "find_near_duplicates", "split_study", "write_report")
    }


@on_finished
def test_without_test_labels_only_the_evaluation_fails(blind):
    """Tuning, training, prediction and fusion end; the first that evaluates fails, and what follows waits for it."""
    folder, stopped = blind
    assert stopped.returncode != 0
    assert set(re.findall(r"^Error in rule (\w+):", stopped.stdout, re.MULTILINE)) == {"audit_models"}
    assert "test_labels.parquet: not a Parquet table" in stopped.stdout
    left = set(jobs(stopped.stdout)) - finished_rules(stopped.stdout)
    assert left == EVALUATIONS | EXTERNAL | {"plot_evaluation", "plot_data", "write_report", "all"}
    results = folder / "results" / "tiny"
    tuned, _ = trained_as(results, "joint")
    assert (tuned / "recipe.yaml").exists() and (results / "fuse/weighted.parquet").exists()


@on_finished
def test_figures_and_report_need_no_test_labels(finished_copy):
    with unreadable(finished_copy / LABELS):
        printed = snakemake(finished_copy, "--cores", 2, *TINY_EXTERNAL, "--forcerun", "plot_evaluation", "plot_data")
    assert finished_rules(printed) == {"plot_evaluation", "plot_data", "write_report", "all"}


@on_finished
def test_every_access_to_test_labels_is_in_the_log_and_none_is_lost_by_a_rerun(finished_copy):
    folder = finished_copy
    path = folder / "results/tiny/test_access_log.jsonl"
    before = path.read_bytes()
    entries = [json.loads(line) for line in before.splitlines()]
    readers = {"audit", "evaluate", "robustness", "shortcuts", "seeds", "explain", "external"}
    assert {entry["reader"] for entry in entries} == readers
    assert len({entry["configuration"] for entry in entries}) == 1
    internal = [entry for entry in entries if entry["reader"] != "external"]
    assert len({entry["test"] for entry in internal}) == 1
    snakemake(folder, "--cores", 2, *TINY_EXTERNAL, "--forcerun", "compare_seeds")
    after = path.read_bytes()
    assert after.startswith(before) and after.count(b"\n") == before.count(b"\n") + 1
    assert f"{len(internal) + 1} times" in (folder / "results/tiny/report/report.html").read_text()
    assert "test_access_log" not in snakemake(folder, "-n", "--delete-all-output", *TINY_EXTERNAL)


@on_finished
def test_a_tuned_model_is_trained_by_its_best_trial(finished):
    results = finished[0] / "results" / "tiny"
    tuned, joint = trained_as(results, "joint")
    table = pd.read_csv(tuned / "trials.csv")
    assert len(table) == 2 and table["validation_auroc"].iloc[0] == table["validation_auroc"].max()
    chosen = yaml.safe_load((tuned / "recipe.yaml").read_text())
    assert chosen["optimizer"]["learning_rate"] == table["optimizer.learning_rate"].iloc[0]
    histories = [joint / f"fold-0-seed-{seed}" / "history.csv" for seed in (1, 2)]
    assert all(pd.read_csv(path)["learning_rate"].iloc[0] == chosen["optimizer"]["learning_rate"] for path in histories)
    assert "joint: 2 tuning trials" in (results / "report/report.html").read_text()


@on_finished
def test_the_trial_with_the_seed_of_the_recipe_is_what_the_fold_then_trains(finished):
    """The same recipe, fold and seed: the same history to the last digit."""
    results = finished[0] / "results" / "tiny"
    tuned, joint = trained_as(results, "joint")
    best = pd.read_csv(tuned / "trials.csv", dtype={"trial": str})["trial"].iloc[0]
    (trial,) = (results / "tune").glob(f"*/trial-{best}/history.csv")
    assert trial.read_text() == (joint / "fold-0-seed-1/history.csv").read_text()
