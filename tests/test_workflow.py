"""The workflow as a user runs it: plans everywhere, runs to its report, runs again only what a change touches."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
import pytest
import yaml

from melanoma.dependencies import local_imports
from melanoma.report import configuration
from melanoma.study import pieces, resolve
from melanoma.weights_files import weights_file
from real_data import real_data

ROOT = Path(__file__).parents[1]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
PROJECT = (
    "Snakefile",
    "config.yaml",
    "rules",
    "scripts",
    "schemas",
    "studies",
    "profiles",
    "envs",
    "report",
    "tests",
)
PROFILES = sorted(path.name for path in (ROOT / "profiles").iterdir())
NOT_A_JOB = {"all"}
TINY = ("--configfile", "tests/studies/tiny.yaml")
# The only rules that open the labels of the test.
JUDGES = {"audit_models", "evaluate_models", "audit_shortcuts", "compare_seeds"}


def snakemake(folder: Path, *options: object) -> str:
    """Run snakemake in `folder`, with no activated environment, and return what it printed; it must succeed."""
    done = failing(folder, *options)
    assert done.returncode == 0, done.stdout[-6000:]
    return done.stdout


def failing(folder: Path, *options: object) -> subprocess.CompletedProcess:
    path = os.pathsep.join(p for p in os.environ["PATH"].split(os.pathsep) if Path(p) != SNAKEMAKE.parent)
    command = [SNAKEMAKE, *map(str, options)]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def clone(folder: Path) -> Path:
    """Copy the project's files to `folder`, as a clone would."""
    for name in PROJECT:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder


def jobs(printed: str) -> dict[str, int]:
    """Return how many jobs of each rule a dry run lists."""
    table = printed.split("Job stats:")[1].split("total")[0] if "Job stats:" in printed else ""
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


def planned_rules(printed: str) -> set[str]:
    """Return the rules of the jobs that a run lists first."""
    return set(jobs(printed))


def finished_rules(printed: str) -> set[str]:
    """Return the rules all of whose listed jobs a run has finished."""
    done = Counter(re.findall(r"^Finished jobid: \d+ \(Rule: (\w+)\)", printed, re.MULTILINE))
    return {name for name, count in jobs(printed).items() if done[name] == count}


def planned(folder: Path, *options: object) -> dict[str, int]:
    return jobs(snakemake(folder, "-n", *options))


@pytest.fixture
def project(tmp_path):
    return clone(tmp_path)


LABELS = Path("results/tiny/split/test_labels.parquet")


@contextmanager
def unreadable(path: Path) -> Iterator[None]:
    """Make a file one that cannot be read, of the same time, for as long as it takes; whoever is root may read any."""
    content, made = path.read_bytes(), path.stat().st_mtime_ns
    try:
        path.write_bytes(b"not to be read")
        os.utime(path, ns=(made, made))
        yield
    finally:
        path.write_bytes(content)
        os.utime(path, ns=(made, made))


@pytest.fixture(scope="module")
def blind(tmp_path_factory):
    """A clone in which the tiny study has run as far as it can while nobody can read the labels of the test."""
    folder = clone(tmp_path_factory.mktemp("finished"))
    snakemake(folder, LABELS, "--cores", 2, *TINY)
    with unreadable(folder / LABELS):
        return folder, failing(folder, "--cores", 2, "--keep-going", *TINY)


@pytest.fixture(scope="module")
def finished(blind):
    """A clone in which the tiny study has run to its report."""
    folder, _ = blind
    printed = snakemake(folder, "--cores", 2, *TINY)
    return folder, printed


# One worker runs these, so that the tiny study runs once.
on_finished = pytest.mark.xdist_group("finished")


def put_kaggle_tables(folder: Path, rows: int = 40) -> None:
    """Put small tables, a folder without images and empty weights where studies/isic2020.yaml expects official ones."""
    data = folder / "data" / "isic2020"
    data.mkdir(parents=True)
    header = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target"
    lines = [f"ISIC_{n:07d},IP_{n},male,40.0,torso,nevus,benign,0" for n in range(rows)]
    (data / "train.csv").write_text("\n".join([header, *lines]))
    (data / "train_folds_and_sizes.csv").write_text("image_name,width,height\n")
    (data / "ISIC_2020_Training_Duplicates.csv").write_text("image_name_1,image_name_2\n")
    (data / "jpeg" / "train").mkdir(parents=True)
    study = resolve(yaml.safe_load((folder / "studies" / "isic2020.yaml").read_text()))
    for weights in filter(None, map(weights_file, study["models"].values())):
        (folder / weights).parent.mkdir(exist_ok=True)
        (folder / weights).touch()


def test_the_snakefile_names_the_stages_and_nothing_else():
    assert len((ROOT / "Snakefile").read_text().splitlines()) < 50


def test_snakemake_lint_is_silent(project):
    assert "good condition" in snakemake(project, "--lint")


def test_a_dry_run_of_the_demo_study_needs_no_option(project):
    assert {"draw_lesions", "prepare_shard", "train_fold", "evaluate_models", "write_report"} <= set(planned(project))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("study", ["config.yaml", "studies/isic2020.yaml"])
def test_every_profile_plans_every_study_without_a_scheduler(project, profile, study):
    put_kaggle_tables(project)
    counts = planned(project, "--profile", f"profiles/{profile}", "--configfile", study)
    assert counts["all"] == 1 and counts["train_fold"] >= 1


def test_a_study_given_by_name_has_nothing_of_the_demo_in_it(project):
    put_kaggle_tables(project)
    counts = planned(project, "--configfile", "studies/isic2020.yaml")
    models = yaml.safe_load((ROOT / "studies" / "isic2020.yaml").read_text())["models"]
    assert counts["write_recipe"] == len(models) and "draw_lesions" not in counts


def test_the_number_of_jobs_does_not_depend_on_the_number_of_images(tmp_path):
    counts = []
    for rows in (40, 40_000):
        folder = tmp_path / str(rows)
        folder.mkdir()
        put_kaggle_tables(clone(folder), rows)
        counts.append(planned(folder, "--configfile", "studies/isic2020.yaml"))
    assert counts[0] == counts[1]


@pytest.mark.real_data
def test_the_official_tables_plan(project):
    tables = real_data("isic2020-tables")
    (project / "data").mkdir()
    (project / "data" / "isic2020").symlink_to(tables)
    counts = planned(project, "--configfile", "studies/isic2020.yaml")
    assert counts["prepare_shard"] == 8 and sum(counts.values()) < 150


@pytest.mark.parametrize("study", ["config.yaml", "studies/isic2020.yaml"])
def test_every_job_states_its_memory_run_time_and_gpus(project, study):
    put_kaggle_tables(project)
    printed = snakemake(project, "-n", "--profile", "profiles/slurm", "--configfile", study)
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", printed, re.MULTILINE)
    assert blocks
    for name, block in blocks:
        if name not in NOT_A_JOB:
            for word in ("mem_mb=", "runtime=", "gpu=", "    log: ", "    benchmark: "):
                assert word in block, f"{name} has no {word}"


def test_every_rule_named_in_a_profile_exists():
    rules = set(
        re.findall(r"^rule (\w+):", "".join(p.read_text() for p in (ROOT / "rules").glob("*.smk")), re.MULTILINE)
    )
    for name in PROFILES:
        profile = yaml.safe_load((ROOT / "profiles" / name / "config.yaml").read_text())
        for key in ("set-resources", "set-threads"):
            assert set(profile.get(key, {})) <= rules


def test_no_profile_is_loaded_by_default():
    assert "default" not in PROFILES


def test_no_rule_retries_by_itself():
    """Retries of a rule and of a profile would multiply."""
    assert not [path for path in (ROOT / "rules").glob("*.smk") if re.search(r"^    retries:", path.read_text(), re.M)]


def test_a_mistake_in_the_configuration_stops_before_any_job(project):
    config = yaml.safe_load((project / "config.yaml").read_text())
    config["models"]["cnn"]["optimiser"] = config["models"]["cnn"].pop("optimizer")
    (project / "mine.yaml").write_text(yaml.safe_dump(config))
    done = failing(project, "-n", "--configfile", "mine.yaml")
    assert done.returncode != 0
    assert "unknown key 'optimiser' (did you mean 'optimizer'?)" in done.stdout
    assert "Traceback" not in done.stdout


def test_bad_input_stops_with_its_message_last_on_the_screen_and_in_the_log(project):
    put_kaggle_tables(project)
    done = failing(project, "--cores", 2, "--configfile", "studies/isic2020.yaml")
    assert done.returncode != 0
    assert "data/isic2020/jpeg/train" in done.stdout
    assert "data/isic2020/jpeg/train" in (project / "logs/isic2020/build_catalog.log").read_text()


@on_finished
def test_the_tiny_study_runs_to_its_report_and_prints_the_table(finished):
    folder, printed = finished
    results = folder / "results" / "tiny"
    metrics = json.loads((results / "evaluate" / "metrics.json").read_text())
    stacked = {"stacked", "stacked_without_context", "boosted"}
    assert set(metrics) == {"cnn", "joint", "logistic", "boosting", "theirs", "mean", "weighted"} | stacked
    assert json.loads((results / "fuse" / "answer.json").read_text())["answer"] in metrics
    for model in metrics.values():
        assert model["auroc"]["low"] <= model["auroc"]["value"] <= model["auroc"]["high"]
    assert (results / "evaluate" / "summary.txt").read_text().strip() in printed
    assert any("results/tiny/report/report.html" in line for line in printed.splitlines()[-5:])
    page = (results / "report" / "report.html").read_text()
    assert "data:image/svg+xml" in page and not re.search(r'(?:src|href)="(?!data:|#)', page)


@on_finished
def test_nothing_is_written_but_results_and_logs(finished):
    folder, _ = finished
    assert {path.name for path in folder.iterdir()} == {*PROJECT, "results", "logs", ".snakemake"}


@on_finished
def test_a_second_run_does_nothing(finished):
    folder, _ = finished
    assert "Nothing to be done" in snakemake(folder, "--cores", 2, *TINY)


@on_finished
def test_a_touched_or_copied_tree_runs_nothing(finished):
    """A clone or pull gives every file a new time and leaves its content."""
    folder, _ = finished
    for path in [*(folder / "scripts").rglob("*.py"), *(folder / "rules").iterdir(), folder / "config.yaml"]:
        path.touch()
    assert planned(folder, *TINY) == {}


@on_finished
def test_an_edited_script_runs_again_what_depends_on_it(finished):
    folder, _ = finished
    module = folder / "scripts" / "melanoma" / "fusion.py"
    before = module.read_text()
    try:
        module.write_text(before + "\n# edited\n")
        again = set(planned(folder, *TINY))
    finally:
        module.write_text(before)
    assert "fuse_models" in again and "evaluate_models" in again
    assert not again & {"build_catalog", "prepare_shard", "split_study", "train_fold", "predict_run"}


@on_finished
def test_a_changed_recipe_runs_that_model_again_and_no_other(finished):
    folder, _ = finished
    study = yaml.safe_load((folder / "tests/studies/tiny.yaml").read_text())
    study["models"]["joint"]["seed"] = 2
    (folder / "tests/studies/changed.yaml").write_text(yaml.safe_dump(study))
    printed = snakemake(folder, "-n", "--configfile", "tests/studies/changed.yaml")
    trained = re.findall(r"^rule train_fold:(?:\n    .*)*?\n    wildcards: model=(\w+)", printed, re.MULTILINE)
    assert trained and set(trained) == {"joint"}
    assert not set(jobs(printed)) & {"build_catalog", "prepare_shard", "split_study"}


@on_finished
def test_more_memory_runs_nothing_again(finished):
    folder, _ = finished
    study = yaml.safe_load((folder / "tests/studies/tiny.yaml").read_text())
    study["models"]["cnn"]["resources"] |= {"mem_mb": 9000, "runtime": 99}
    (folder / "tests/studies/more.yaml").write_text(yaml.safe_dump(study, sort_keys=False))
    assert set(planned(folder, "--configfile", "tests/studies/more.yaml")) <= {
        "write_settings",
        "write_report",
        "all",
    }


@on_finished
def test_snakemakes_own_report_holds_the_figures(finished):
    folder, _ = finished
    snakemake(folder, *TINY, "--report", "report.html")
    page = (folder / "report.html").read_text()
    (folder / "report.html").unlink()
    assert "roc.svg" in page and "class balance" in page


@on_finished
def test_only_what_judges_is_given_test_labels(finished):
    """The labels of the test are one file, beside the catalog that the split is made from."""
    folder, _ = finished
    printed = snakemake(folder, "-n", "--forceall", *TINY)
    blocks = re.findall(r"^(?:local)?rule (\w+):\n    input: (.*)\n", printed, re.MULTILINE)
    assert {name for name, inputs in blocks if "test_labels" in inputs} == JUDGES
    assert {name for name, inputs in blocks if "catalog.parquet" in inputs} == {"prepare_shard", "split_study"}


@on_finished
def test_with_test_labels_unreadable_all_runs_but_what_judges(blind):
    """Tuning, training, prediction and fusion end; the first that judges fails, as what comes after it waits for it."""
    folder, stopped = blind
    assert stopped.returncode != 0
    assert set(re.findall(r"^Error in rule (\w+):", stopped.stdout, re.MULTILINE)) == {"audit_models"}
    assert "test_labels.parquet: not a Parquet table" in stopped.stdout
    left = planned_rules(stopped.stdout) - finished_rules(stopped.stdout)
    assert left == JUDGES | {"plot_curves", "plot_balance", "write_report", "all"}
    results = folder / "results" / "tiny"
    assert (results / "tune/joint/recipe.yaml").exists() and (results / "fuse/weighted.parquet").exists()


@on_finished
def test_with_test_labels_unreadable_figures_and_report_are_made_from_what_judges_wrote(finished):
    folder, _ = finished
    with unreadable(folder / LABELS):
        printed = snakemake(folder, "--cores", 2, *TINY, "--forcerun", "plot_curves", "plot_balance")
    assert finished_rules(printed) == {"plot_curves", "plot_balance", "write_report", "all"}


@on_finished
def test_every_reading_of_test_labels_is_in_the_ledger_and_none_is_lost_by_a_rerun(finished):
    folder, _ = finished
    path = folder / "results/tiny/test_ledger.jsonl"
    before = path.read_bytes()
    entries = [json.loads(line) for line in before.splitlines()]
    assert {entry["reader"] for entry in entries} == {"audit", "evaluate", "shortcuts", "seeds"}
    assert len({(entry["test"], entry["configuration"]) for entry in entries}) == 1
    snakemake(folder, "--cores", 2, *TINY, "--forcerun", "compare_seeds")
    after = path.read_bytes()
    assert after.startswith(before) and after.count(b"\n") == before.count(b"\n") + 1
    assert f"{len(entries) + 1} times" in (folder / "results/tiny/report/report.html").read_text()
    assert "test_ledger" not in snakemake(folder, "-n", "--delete-all-output", *TINY)


@on_finished
def test_a_tuned_model_is_trained_by_its_best_trial(finished):
    results = finished[0] / "results" / "tiny"
    table = pd.read_csv(results / "tune/joint/trials.csv")
    assert len(table) == 2 and table["validation_auroc"].iloc[0] == table["validation_auroc"].max()
    chosen = yaml.safe_load((results / "tune/joint/recipe.yaml").read_text())
    assert chosen["optimizer"]["learning_rate"] == table["optimizer.learning_rate"].iloc[0]
    histories = [results / "train/joint" / f"fold-0-seed-{seed}" / "history.csv" for seed in (1, 2)]
    assert all(pd.read_csv(path)["learning_rate"].iloc[0] == chosen["optimizer"]["learning_rate"] for path in histories)
    assert "2 trials of its tuning" in (results / "report/report.html").read_text()


@on_finished
def test_the_trial_with_the_seed_of_the_recipe_is_what_the_fold_then_trains(finished):
    """The same recipe, fold and seed: the same history to the last digit."""
    results = finished[0] / "results" / "tiny"
    best = pd.read_csv(results / "tune/joint/trials.csv", dtype={"trial": str})["trial"].iloc[0]
    trial = results / "tune/joint" / f"trial-{best}" / "history.csv"
    assert trial.read_text() == (results / "train/joint/fold-0-seed-1/history.csv").read_text()


@on_finished
def test_a_value_added_to_a_search_space_trains_one_more_trial_and_no_old_one_again(finished):
    folder, _ = finished
    study = yaml.safe_load((folder / "tests/studies/tiny.yaml").read_text())
    study["models"]["joint"]["tune"]["space"]["optimizer.learning_rate"].insert(0, 0.1)
    (folder / "tests/studies/more_trials.yaml").write_text(yaml.safe_dump(study))
    counts = planned(folder, "--configfile", "tests/studies/more_trials.yaml")
    assert counts["train_trial"] == 1 and counts["choose_recipe"] == 1


def test_trials_are_jobs_known_at_the_dry_run(project):
    put_kaggle_tables(project)
    counts = planned(project, "--configfile", "studies/isic2020_tuned.yaml")
    assert counts["train_trial"] == counts["write_trial"] >= 36 and counts["choose_recipe"] == 3


def test_a_configuration_larger_than_a_command_line_is_written_in_parts(project):
    study = yaml.safe_load((project / "tests/studies/tiny.yaml").read_text())
    study["models"] = {f"model_{number}": {"network": "metadata_mlp"} for number in range(100)}
    study["fusions"] = {}
    (project / "large.yaml").write_text(yaml.safe_dump(study))
    count = len(pieces(resolve(study), 64_000))
    files = [f"results/tiny/config/{name}.yaml" for name in ("study", *(f"study-{n}" for n in range(1, count)))]
    snakemake(project, *files, "--cores", 2, "--configfile", "large.yaml")
    assert sum((project / file).stat().st_size for file in files) > 131_072
    assert configuration([project / file for file in files]) == resolve(study)


def test_local_imports_are_found_at_any_depth(tmp_path):
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / "__init__.py").write_text("")
    (tmp_path / "library" / "a.py").write_text("def f():\n    from library.b import x\n")
    (tmp_path / "library" / "b.py").write_text("import os\nimport library.c\n")
    (tmp_path / "library" / "c.py").write_text("")
    (tmp_path / "library" / "unused.py").write_text("")
    (tmp_path / "script.py").write_text("from library import a\nimport numpy\n")
    found = [path.relative_to(tmp_path).as_posix() for path in local_imports(tmp_path / "script.py")]
    assert found[0] == "script.py"
    assert set(found[1:]) == {"library/__init__.py", "library/a.py", "library/b.py", "library/c.py"}


def test_a_job_that_is_tried_again_asks_for_more_memory_and_time_but_for_a_models_which_its_recipe_states():
    text = "".join(path.read_text() for path in sorted((ROOT / "rules").glob("*.smk")))
    local = set(re.findall(r"\w+", " ".join(re.findall(r"^localrules:\n((?:    .*\n)+)", text, re.MULTILINE))))
    rules = dict(re.findall(r"^rule (\w+):\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL))
    assert len(rules) > 15
    for name, body in rules.items():
        if name not in local and "threads: asked" not in body:
            assert "mem_mb=growing(" in body and "runtime=growing(" in body, name
