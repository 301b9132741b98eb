"""Dry runs of every study on every profile, and errors of the configuration."""

import re
from pathlib import Path

import pytest
import yaml

from project import ROOT
from real_data import real_data
from workflow import TINY, clone, failing, jobs, planned, put_kaggle_tables, snakemake

TWO_NETWORKS = ("studies/isic2020.yaml", "studies/two_networks.yaml")
PROFILES = sorted(
    {path.name for path in (ROOT / "profiles").iterdir()} - {"default"}
)  # Snakemake adds "default" itself


@pytest.fixture
def project(tmp_path):
    return clone(tmp_path)


def test_snakemake_lint_is_silent(project):
    assert "good condition" in snakemake(project, "--lint")


def test_a_dry_run_of_the_demo_study_needs_no_option(project):
    assert {"draw_lesions", "prepare_shard", "train_fold", "evaluate", "write_report"} <= set(planned(project))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("study", ["config.yaml", "studies/isic2020.yaml"])
def test_every_profile_plans_every_study_without_a_scheduler(project, profile, study):
    put_kaggle_tables(project)
    counts = planned(project, "--profile", profile, "--configfile", study)
    assert counts["all"] == 1 and counts["train_fold"] >= 1


@pytest.mark.large
def test_a_study_with_gpus_looks_at_a_node_with_a_gpu_first_but_only_on_a_cluster(project):
    study = yaml.safe_load((project / "tests/studies/tiny.yaml").read_text())
    study["models"]["cnn"]["resources"]["gpus"] = 1
    (project / "study.yaml").write_text(yaml.safe_dump(study))
    cluster = ("--executor", "cluster-generic", "--jobs", 1, "--cluster-generic-submit-cmd", "false")
    cluster += ("--seconds-between-status-checks", 1)  # the end of a run waits for the next check
    assert "doctor" not in planned(project, "--configfile", "study.yaml")
    looked = failing(project, *cluster, "--until", "doctor", "--configfile", "study.yaml").stdout
    assert jobs(looked) == {"doctor": 1}
    assert "doctor" not in jobs(failing(project, *cluster, "--until", "draw_lesions", *TINY).stdout)


@pytest.mark.large
def test_every_profile_plans_runs_in_another_folder(project, tmp_path_factory):
    """The code in one folder, the results in another: from the code's folder, from the results', from a third."""
    run, elsewhere = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("elsewhere")
    expected = planned(project)
    snakefile, paths = ("-s", project / "Snakefile"), [project / "profiles" / profile for profile in PROFILES]
    assert planned(project, "--profile", PROFILES[0], "--directory", run) == expected
    assert planned(run, *snakefile, "--profile", paths[0]) == expected
    for path in paths:
        assert planned(elsewhere, *snakefile, "--profile", path, "--directory", run) == expected
    assert planned(elsewhere, *snakefile, "--directory", run) == expected


@pytest.mark.large
def test_a_run_in_another_folder_writes_there_and_nowhere_else(project, tmp_path_factory):
    run, elsewhere = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("elsewhere")
    before = {path for path in project.rglob("*") if "__pycache__" not in path.parts}
    target = "results/tiny/catalog/catalog.parquet"
    study = project / "tests/studies/tiny.yaml"
    options = ("-s", project / "Snakefile", "--directory", run, "--configfile", study, "--cores", 2)
    snakemake(elsewhere, target, *options)
    assert (run / target).exists() and not list(elsewhere.iterdir())
    assert {path for path in project.rglob("*") if "__pycache__" not in path.parts} == before


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


def test_the_two_network_ensemble_as_published_plans_a_fold_and_a_refit_of_two_networks(project):
    put_kaggle_tables(project)
    counts = planned(project, "--configfile", *TWO_NETWORKS, "studies/s1_as_published.yaml")
    assert counts["train_fold"] == counts["train_refit"] == counts["fuse"] == 2


def test_the_efficientnet_ensemble_as_published_plans_three_folds_of_each_network_and_no_refit(project):
    put_kaggle_tables(project)
    counts = planned(project, "--configfile", "studies/isic2020.yaml", "studies/s0_as_published.yaml")
    assert counts["train_fold"] == 3 * 7 and "train_refit" not in counts


def test_trials_are_jobs_known_at_the_dry_run(project):
    put_kaggle_tables(project)
    counts = planned(project, "--configfile", *TWO_NETWORKS, "studies/tuned.yaml")
    assert counts["train_trial"] == counts["write_trial"] == 30 and counts["select_recipe"] == 2


def test_linear_probes_of_one_network_share_the_job_of_its_features(project):
    put_kaggle_tables(project)
    printed = snakemake(project, "-n", "--configfile", "studies/isic2020_small.yaml")
    counts = jobs(printed)
    assert counts["embed"] == 1 and counts["predict_tabular"] == 3 and counts["train_fold"] == 5
    (features,) = set(re.findall(r"[^ ,]+/embeddings/timm_tf_efficientnet_lite0-\w{8}\.npz", printed))
    blocks = re.findall(r"rule predict_tabular:\n    input: (.*)\n    output: (.*)\n", printed)
    readers = {Path(outputs.split(",")[0]).stem for inputs, outputs in blocks if features in inputs}
    assert readers == {"frozen", "frozen_and_metadata"}


@pytest.mark.parametrize("study", ["config.yaml", "studies/isic2020.yaml"])
def test_every_job_states_its_memory_run_time_and_gpus(project, study):
    put_kaggle_tables(project)
    printed = snakemake(project, "-n", "--profile", "slurm", "--configfile", study)
    blocks = re.findall(r"^(?:local)?rule (\w+):\n((?:    .*\n)+)", printed, re.MULTILINE)
    assert blocks
    for name, block in blocks:
        if name != "all":
            for word in ("mem_mb=", "runtime=", "gpu=", "    log: ", "    benchmark: "):
                assert word in block, f"{name} has no {word}"


def test_an_option_that_is_given_twice_stops_before_any_job(project):
    twice = failing(project, "-n", "--configfile", "config.yaml", "--configfile", "config.yaml")
    assert "--configfile is given twice" in twice.stdout and "Traceback" not in twice.stdout


@pytest.mark.parametrize("options", [(), ("--profile", "slurm"), ("--configfile", "config.yaml")])
def test_a_misspelled_file_of_a_study_gives_one_line_with_the_nearest_names(project, options):
    named = ("--configfile", "studies/tunde.yaml") if "--configfile" not in options else ("studies/tunde.yaml",)
    done = failing(project, "-n", *options, *named)
    said = [line for line in done.stdout.splitlines() if not line.startswith("Using ")]
    assert said == [
        "Error: studies/tunde.yaml: no such file (is studies/tuned.yaml meant?). Correct the path after --configfile"
    ]


def test_a_misspelled_file_of_a_study_is_named_in_a_run_folder(project, tmp_path):
    done = failing(tmp_path, "-s", project / "Snakefile", "-n", "--configfile", project / "studies/tunde.yaml")
    assert f"is {project / 'studies/tuned.yaml'} meant?" in done.stdout and "Traceback" not in done.stdout


def test_a_file_of_a_study_that_is_no_yaml_gives_one_line(project):
    (project / "mine.yaml").write_text("study: mine\ndata: [a\n")
    done = failing(project, "-n", "--configfile", "mine.yaml")
    assert "Error: mine.yaml: line 3: not YAML" in done.stdout and "Traceback" not in done.stdout


def test_a_mistake_in_the_configuration_stops_before_any_job(project):
    config = yaml.safe_load((project / "config.yaml").read_text())
    config["models"]["cnn"]["optimzer"] = config["models"]["cnn"].pop("optimizer")
    (project / "mine.yaml").write_text(yaml.safe_dump(config))
    done = failing(project, "-n", "--configfile", "mine.yaml")
    assert done.returncode != 0
    assert re.search(r"mine\.yaml:\d+: models\.cnn\.optimzer: unknown key 'optimzer'", done.stdout)
    assert "Traceback" not in done.stdout


def test_a_second_file_and_then_config_overrule_the_first_file(project):
    (project / "more.yaml").write_text("models: {cnn: {epochs: 3}}\n")
    files = ("--configfile", "tests/studies/tiny.yaml", "more.yaml")
    assert planned(project, *files)["train_fold"] == 6
    assert planned(project, *files, "--config", "split={run_folds: [1]}")["train_fold"] == 3
