"""Names and paths that every stage shares. No rules."""

import json
import os
import time
from functools import partial
from pathlib import Path

from melanoma.common.files import read_intact
from melanoma.config.facts import configuration_digest, training_name, training_recipe
from melanoma.snakefile import sources
from melanoma.snakefile.classifications import Classifications
from melanoma.snakefile.dependencies import code_params, file_digest, script_param
from melanoma.snakefile.jobs import ModelJobs, growing, input_options, named, one_of
from melanoma.snakefile.locks import go_on_after_a_kill
from melanoma.snakefile.plan import write_plan
from melanoma.snakefile.programs import find_programs
from melanoma.snakefile.records import keep_record
from melanoma.snakefile.retries import failures, retry_temporary_failures
from melanoma.snakefile.sections import sections, study_sections
from melanoma.snakefile.terminal import show_one_line_a_job
from melanoma.snakefile.trainings import Trainings, seed_option

STARTED = time.time()
RESULTS = f"results/{study.study}"
find_programs(Path(workflow.basedir, "profiles"))
show_one_line_a_job(workflow.output_settings, Path(RESULTS))
retry_temporary_failures(STARTED)
go_on_after_a_kill(workflow)

LOGS = f"logs/{study.study}"
SCRIPTS = os.path.relpath(f"{workflow.basedir}/scripts")
ENVIRONMENT = f"{workflow.basedir}/envs/environment.yaml"

MODELS = study.models
FUSIONS = study.all_fusions
TRAININGS = Trainings.from_study(study)
NETWORKS = [name for name, recipe in MODELS.items() if recipe.is_trained]
TABULAR = [name for name, recipe in MODELS.items() if recipe.is_tabular]
EXTERNAL = [name for name, recipe in MODELS.items() if recipe.is_external]
PROBES = {name: training_name(network) for name, recipe in MODELS.items() if (network := recipe.frozen_network)}
EXTERNAL_ROLES = {source.role for source in study.data.sources} & {"test", "predict"}
SEEING = [name for name, recipe in MODELS.items() if recipe.is_trained and recipe.reads_images]
CORRUPTED = SEEING if study.evaluate.robustness else []
TUNED = [name for name in NETWORKS if MODELS[name].tune]
REPEATED = [name for name in NETWORKS if MODELS[name].seeds]
GENERATED = sources.drawn(study)
FETCHED = sources.downloads(study)
HAS_IMAGES = study.has_images

STORE = f"{RESULTS}/images/images.h5"
QUALITY = f"{RESULTS}/images/{'quality' if HAS_IMAGES else 'sizes'}.parquet"
CATALOG = f"{RESULTS}/catalog/catalog.parquet"
SPLIT = {
    "train": f"{RESULTS}/split/train.parquet",
    "test": f"{RESULTS}/split/test.parquet",
    "test_labels": f"{RESULTS}/split/test_labels.parquet",
    "left_out": f"{RESULTS}/split/left_out.csv",
    "pairs": f"{RESULTS}/split/pairs.csv",
    "leakage": f"{RESULTS}/split/leakage.json",
}
EXTERNAL_SPLIT = {}
if EXTERNAL_ROLES:
    EXTERNAL_SPLIT["external"] = f"{RESULTS}/split/external.parquet"
if "test" in EXTERNAL_ROLES:
    EXTERNAL_SPLIT["external_labels"] = f"{RESULTS}/split/external_labels.parquet"
AUDIT = f"{RESULTS}/evaluate/leakage.json"
DOCTOR = f"{RESULTS}/doctor.txt"
ROBUSTNESS = f"{RESULTS}/evaluate/robustness.json"
EXPLANATIONS = f"{RESULTS}/evaluate/explanations.npz"
# This file is no output of a rule, because Snakemake would delete it.
TEST_ACCESS_LOG = f"{RESULTS}/test_access_log.jsonl"
TRIAL = f"{RESULTS}/tune/{{untuned}}/trial-{{trial}}"
REPORT = f"{RESULTS}/report"
MODEL_JOBS = ModelJobs(TRAININGS.recipe_of_job, SCRIPTS, STORE, f"{RESULTS}/compiled")
script = partial(script_param, SCRIPTS)


def code(name):
    """The params of a script. These are its path, the digest of its code, and the options of its inputs.

    The script takes each input that has a name as the option of that name. The others are dependencies alone.
    """
    return code_params(SCRIPTS, name) | {"inputs": input_options}


def settings(section):
    """The file that holds one section of the configuration."""
    return f"{RESULTS}/config/{section}.yaml"


def from_split(*names):
    """Files of the split, as named inputs."""
    return {name: SPLIT[name] for name in names}


def recipe_file(training):
    """The file that holds a training's recipe: as the study gives it, or as its tuning selected it."""
    if training in TRAININGS.trials:
        return f"{RESULTS}/tune/{training}/recipe.yaml"
    return f"{RESULTS}/recipes/{training}.yaml"


def trained(model, file):
    """A file of each run of a model's training, by the run's name."""
    folder = f"{RESULTS}/train/{TRAININGS.names[model]}"
    return {run: f"{folder}/{run}/{file}" for run in TRAININGS.runs(model)}


def predicting_runs(model):
    """The weights of each run of a model that predicts test images, by the run's name."""
    kind = "refit" if OPTIONS["test"] == "refit" else "fold"
    return {run: path for run, path in trained(model, "weights.safetensors").items() if run.startswith(kind)}


def all_trained(file):
    """A file of each run of all networks, by MODEL:RUN."""
    return {f"{model}:{run}": path for model in NETWORKS for run, path in trained(model, file).items()}


def predictions(*names):
    """The predictions of models and fusions, which are named by them."""
    folders = {name: "fuse" if name in FUSIONS else "predict" for name in names}
    return [f"{RESULTS}/{folder}/{name}.parquet" for name, folder in folders.items()]


def test_access_log(wildcards, output):
    """The options that name the test-set access log and the configuration that reads the labels.

    Snakemake does not compare a param that takes `output`.
    """
    return f"--test-access-log {TEST_ACCESS_LOG} --configuration {configuration_digest(study)}"


def code_and_log(name):
    """The params of a script that reads test labels. These are those of `code`, and the test-set access log."""
    return code(name) | {"access_log": test_access_log}


def doctor_on_a_cluster(wildcards):
    """The page of doctor.py, if the jobs run on a cluster and one of them needs a GPU."""
    needs_gpu = any(recipe.resources.gpus for recipe in MODELS.values())
    on_cluster = workflow.executor_plugin is not None and not workflow.local_exec
    return DOCTOR if needs_gpu and on_cluster else []


def trial_files(training, file):
    """A file of each trial of a tuned training."""
    trials = TRAININGS.trials[training]
    return expand(f"{TRIAL}/{file}", untuned=TRAININGS.untuned[training], trial=trials)


def figure(category, file):
    """A figure as an output that Snakemake's own report shows, too, with the caption of its name."""
    name = Path(file).with_suffix("")
    return report(
        f"{REPORT}/{file}",
        caption=f"../report/{name.parts[0]}.rst",
        category=category,
        labels={"figure": name.as_posix().replace("_", " ")},
    )


def for_papers(files):
    """The same figures as PNG and PDF, which stand beside each SVG."""
    return [
        f"{REPORT}/{Path(file).with_suffix(end)}" for file in files if file.endswith(".svg") for end in (".png", ".pdf")
    ]


wildcard_constraints:
    model=one_of(MODELS),
    training=one_of(TRAININGS.recipes),
    untuned=one_of(TRAININGS.untuned_recipes),
    external=one_of(EXTERNAL),
    embedding=one_of(TRAININGS.frozen_networks),
    source=one_of(GENERATED),
    fusion=one_of(FUSIONS),
    run="(fold-[0-9]+|refit)(-seed-[0-9]+)?",
    trial="[0-9a-f]{8}",
    shard="[0-9]+",


onstart:
    write_plan(Path(LOGS, "plan.json"), workflow)


onerror:
    keep_record(Path(RESULTS))
    for failure in failures(workflow.scheduler.failed, STARTED):
        print(f"\n{failure}")


onsuccess:
    keep_record(Path(RESULTS))
    if os.path.exists(f"{REPORT}/report.html"):
        shell(f"cat {RESULTS}/evaluate/summary.txt")
        if "test" in EXTERNAL_ROLES:
            shell(f"cat {RESULTS}/evaluate/external.txt")
        print(f"\nThe report: {REPORT}/report.html")
    for answers in filter(os.path.exists, ANSWERS):
        print(f"\nThe answers: {answers}")
