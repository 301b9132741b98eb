"""Names and paths that every stage shares. No rules."""

import json
import os
import time
from pathlib import Path

from melanoma.config.study import (
    all_fusions,
    configuration_digest,
    has_images,
    is_foreign,
    is_tabular,
    is_trained,
    reads_images,
    training_recipe,
)
from melanoma.config.weights import weights_file
from melanoma.snakefile.dependencies import code_digest, file_digest
from melanoma.snakefile.jobs import (
    checkpoint_options,
    device_options,
    growing,
    launcher,
    named,
    network_job,
    one_of,
    option,
)
from melanoma.snakefile.programs import find_programs
from melanoma.snakefile.records import keep_record
from melanoma.snakefile.retries import failures, retry_what_may_pass
from melanoma.snakefile.sections import sections, study_sections
from melanoma.snakefile.sources import (
    catalog_sources,
    downloads,
    drawn_sources,
    image_folders,
    tables,
)
from melanoma.snakefile.terminal import show_one_line_a_job
from melanoma.snakefile.trainings import Trainings, seed_option

STARTED = time.time()
find_programs(Path(workflow.basedir, "profiles"))
show_one_line_a_job(workflow.output_settings)
retry_what_may_pass(STARTED)

RESULTS = f"results/{config['study']}"
LOGS = f"logs/{config['study']}"
SCRIPTS = os.path.relpath(f"{workflow.basedir}/scripts")
ENVIRONMENT = f"{workflow.basedir}/envs/environment.yaml"

MODELS = config["models"]
FUSIONS = all_fusions(config)
TRAININGS = Trainings.from_config(config)
NETWORKS = [name for name, recipe in MODELS.items() if is_trained(recipe)]
TABULAR = [name for name, recipe in MODELS.items() if is_tabular(recipe)]
FOREIGN = [name for name, recipe in MODELS.items() if is_foreign(recipe)]
SEEING = [name for name, recipe in MODELS.items() if reads_images(recipe)]
TUNED = [name for name in NETWORKS if MODELS[name]["tune"]]
REPEATED = [name for name in NETWORKS if MODELS[name]["seeds"]]
GENERATED = drawn_sources(config)
FETCHED = downloads(config)
HAS_IMAGES = has_images(config)

STORE = f"{RESULTS}/images/images.h5"
QUALITY = f"{RESULTS}/images/{'quality' if HAS_IMAGES else 'sizes'}.parquet"
CATALOG = f"{RESULTS}/catalog/catalog.parquet"
SPLIT = {
    "train": f"{RESULTS}/split/train.parquet",
    "test": f"{RESULTS}/split/test.parquet",
    "labels": f"{RESULTS}/split/test_labels.parquet",
    "left_out": f"{RESULTS}/split/left_out.csv",
    "leakage": f"{RESULTS}/split/leakage.json",
}
AUDIT = f"{RESULTS}/evaluate/leakage.json"
# No output of any rule: Snakemake would delete it.
LEDGER = f"{RESULTS}/test_ledger.jsonl"
TRIAL = f"{RESULTS}/tune/{{untuned}}/trial-{{trial}}"
REPORT = f"{RESULTS}/report"
NETWORK_JOB = network_job(TRAININGS.recipe_of_job)


def script(name):
    """The path of a stage's script, as a param. It is derived from nothing that Snakemake tracks: a clone may move."""
    return {"script": lambda wildcards, output: f"{SCRIPTS}/{name}.py"}


def code(name):
    """The path of a stage's script and a digest of all code that decides its results: an edit reruns what it changes."""
    return script(name) | {
        "code": lambda wildcards: code_digest(f"{SCRIPTS}/{name}.py")
    }


def settings(section):
    """The file that holds one section of the configuration."""
    return f"{RESULTS}/config/{section}.yaml"


def from_split(*names):
    """Files of the split, as named inputs."""
    return {name: SPLIT[name] for name in names}


def recipe_file(model):
    """The file that holds the recipe of a model's training."""
    return training_recipe_file(TRAININGS.names[model])


def training_recipe_file(training):
    """The file that holds a training's recipe: as the study gives it, or as its tuning selected it."""
    if training in TRAININGS.trials:
        return f"{RESULTS}/tune/{training}/recipe.yaml"
    return f"{RESULTS}/recipes/{training}.yaml"


def trained(model, file):
    """A file of each run of a model's training, by the run's name."""
    folder = f"{RESULTS}/train/{TRAININGS.names[model]}"
    return {run: f"{folder}/{run}/{file}" for run in TRAININGS.runs(model)}


def all_trained(file):
    """A file of each run of all networks, by MODEL:RUN."""
    return {
        f"{model}:{run}": path
        for model in NETWORKS
        for run, path in trained(model, file).items()
    }


def predictions(*names):
    """The predictions of models and fusions, which are named by them."""
    folders = {name: "fuse" if name in FUSIONS else "predict" for name in names}
    return [f"{RESULTS}/{folder}/{name}.parquet" for name, folder in folders.items()]


# What a network's job takes from its recipe. How it is computed decides no result, so these take `output`: Snakemake
# compares no param that does.


def launch(wildcards, output):
    """What starts the script of a network's job."""
    return launcher(TRAININGS.recipe_of_job(wildcards), SCRIPTS)


def devices(wildcards, output):
    """The options that tell the script where it runs."""
    return device_options(TRAININGS.recipe_of_job(wildcards))


def ledger(wildcards, output):
    """The options that name the ledger of readings of the test, and the configuration that reads it."""
    return f"--ledger {LEDGER} --configuration {configuration_digest(config)}"


def threads_of_job(wildcards):
    """The threads that a network's job asks for."""
    return TRAININGS.recipe_of_job(wildcards)["resources"]["threads"]


def store_of_job(wildcards):
    """The image store, for a network that looks at pixels."""
    return STORE if reads_images(TRAININGS.recipe_of_job(wildcards)) else []


def of_trials(training, file):
    """A file of each trial of a tuned training."""
    trials = TRAININGS.trials[training]
    return expand(f"{TRIAL}/{file}", untuned=TRAININGS.untuned[training], trial=trials)


def pretrained(wildcards):
    """The file of pretrained weights that a job's network starts from, where there is one."""
    return weights_file(TRAININGS.recipe_of_job(wildcards)) or []


def checkpoints(wildcards, output):
    """The options that tell how often a training saves itself; they decide no result."""
    return checkpoint_options(TRAININGS.recipe_of_job(wildcards))


def figure(category, file):
    """A figure as an output that Snakemake's own report shows, too, with the caption of its name."""
    name = Path(file).with_suffix("")
    return report(
        f"{REPORT}/{file}",
        caption=f"../report/{name.parts[0]}.rst",
        category=category,
        labels={"figure": name.as_posix().replace("_", " ")},
    )


def report_folder(wildcards, output):
    """The folder of the figures, as a param that Snakemake does not compare."""
    return REPORT


wildcard_constraints:
    model=one_of(MODELS),
    training=one_of(TRAININGS.recipes),
    untuned=one_of(TRAININGS.untuned_recipes),
    fusion=one_of(FUSIONS),
    run="(fold-[0-9]+|refit)(-seed-[0-9]+)?",
    trial="[0-9a-f]{8}",
    shard="[0-9]+",
