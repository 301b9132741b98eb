"""Names and paths that every stage shares. No rules."""

import json
import os
import re
import shlex
import shutil
import time
from pathlib import Path

from melanoma.snakefile.dependencies import (
    code_digest,
    file_digest,
    find_first,
    use_this_interpreter,
)
from melanoma.snakefile.records import keep_record
from melanoma.snakefile.retries import failures, retry_what_may_pass
from melanoma.config.facts import (
    configuration_digest,
    pieces,
    section_read,
    training_name,
    training_recipe,
)
from melanoma.config.search_space import trial_recipes
from melanoma.snakefile.terminal import show_one_line_a_job

PROFILES = Path(workflow.basedir, "profiles")
use_this_interpreter()
show_one_line_a_job(workflow.output_settings)
# Programs and files of the profiles, wherever Snakemake was called from.
find_first(PROFILES / "hoffman2" / "bin")
os.environ.setdefault(
    "SNAKEMAKE_SLURM_PARTITIONS", str(PROFILES / "slurm" / "partitions.yaml")
)
# Slurm's, whose answers its plugin does not all understand.
for program in ("squeue", "sacct"):
    if shutil.which(program):
        find_first(PROFILES / "slurm" / "bin" / program)

STARTED = time.time()
retry_what_may_pass(STARTED)

RESULTS = f"results/{study.study}"
LOGS = f"logs/{study.study}"
SCRIPTS = os.path.relpath(f"{workflow.basedir}/scripts")
ENVIRONMENT = f"{workflow.basedir}/envs/environment.yaml"

MODELS = study.models
NETWORKS = [name for name, recipe in MODELS.items() if recipe.is_trained]
TABULAR = [name for name, recipe in MODELS.items() if recipe.is_tabular]
EXTERNAL = [name for name, recipe in MODELS.items() if recipe.is_external]
TRAINING = {name: training_name(recipe) for name, recipe in MODELS.items()}
# Of models with one training the first speaks for all: they differ in what is not trained.
TRAINED = {TRAINING[name]: MODELS[name] for name in reversed(MODELS)}
TRIALS = {
    TRAINING[name]: trial_recipes(MODELS[name])
    for name in NETWORKS
    if MODELS[name].tune
}
TUNED = [name for name in NETWORKS if TRAINING[name] in TRIALS]
REPEATED = [name for name in NETWORKS if MODELS[name].seeds]
SEEING = [name for name, recipe in MODELS.items() if recipe.reads_images]
QUALITY = f"{RESULTS}/images/{'quality' if study.has_images else 'sizes'}.parquet"
FUSIONS = study.all_fusions
FOLD_RUNS = [f"fold-{fold}" for fold in study.split.run_folds]
RUNS = FOLD_RUNS + (["refit"] if study.predict.test == "refit" else [])
# No output of any rule, either. Images that were prepared in another number of shards are not prepared anew.
SHARD_COUNT = Path(f"{RESULTS}/images/shard_count")
SHARDS = [
    f"{shard:03d}"
    for shard in range(
        int(SHARD_COUNT.read_text()) if SHARD_COUNT.exists() else study.images.shards
    )
]
# No output of any rule: Snakemake would delete it.
TEST_ACCESS_LOG = f"{RESULTS}/test_access_log.jsonl"
# All of the configuration, in files small enough for a command line to carry each: 128 kB is its limit.
STUDY = {
    f"study-{number}" if number else "study": piece
    for number, piece in enumerate(pieces(study, 64_000))
}
FIGURES = {
    "roc": "roc.svg",
    "precision_recall": "precision_recall.svg",
    "reliability": "reliability.svg",
    "decision": "decision.svg",
    "learning_curves": "learning_curves.svg",
    "schedules": "schedules.svg",
    "sampling": "sampling.svg",
    "class_balance": "class_balance.svg",
    "samples": "samples.png",
}
SHEETS = {f"augmentation:{model}": f"augmentation/{model}.png" for model in SEEING}
GENERATED = {
    source.name: source.generate for source in study.data.sources if source.generate
}
FETCHED = {
    path: download
    for path, download in study.fetch.items()
    if not os.path.lexists(path)
}


def script(name):
    """The path of a stage's script, as a param. It is derived from nothing that Snakemake tracks: a clone may move."""
    return {"script": lambda wildcards, output: f"{SCRIPTS}/{name}.py"}


def code(name):
    """The path of a stage's script and a digest of all code that decides its results: an edit reruns what it changes."""
    return script(name) | {
        "code": lambda wildcards: code_digest(f"{SCRIPTS}/{name}.py")
    }


def text(*names):
    """A digest of files of the project that are no code, as a param."""
    return lambda wildcards: file_digest(Path(workflow.basedir, name) for name in names)


def settings(section):
    """The file that holds one section of the configuration."""
    return f"{RESULTS}/config/{section}.yaml"


def recipe_file(training):
    """The file that holds a training's recipe: as it is given, or as its tuning chose it."""
    folder = f"{RESULTS}/tune/{training}" if training in TRIALS else None
    return f"{folder}/recipe.yaml" if folder else f"{RESULTS}/recipes/{training}.yaml"


def recipe(wildcards):
    """The file that holds the recipe of a job's model."""
    return recipe_file(TRAINING[wildcards.model])


def runs(model):
    """The names of a model's trainings, several of each run where it has several seeds."""
    seeds = MODELS[model].seeds or []
    return [
        name
        for run in RUNS
        for name in [f"{run}-seed-{seed}" for seed in seeds] or [run]
    ]


def seed_option(wildcards):
    """The option that gives a training the seed in its name."""
    _, marked, seed = wildcards.run.partition("-seed-")
    return f"--seed {seed}" if marked else ""


def trained(model, run, file):
    """A file that a training of a model leaves."""
    return f"{RESULTS}/train/{TRAINING[model]}/{run}/{file}"


def histories(model):
    """The histories of a model's trainings."""
    return [trained(model, run, "history.csv") for run in runs(model)]


def folds_of(wildcards):
    """The histories of the folds that a refit takes its number of epochs from: those of its own seed."""
    names = [wildcards.run.replace("refit", fold) for fold in FOLD_RUNS]
    return [
        f"{RESULTS}/train/{wildcards.training}/{name}/history.csv" for name in names
    ]


def untuned(training):
    """The name of a training by its recipe without the search space."""
    return training_name(TRAINED[training].model_copy(update={"tune": None}))


def of_job(wildcards):
    """The recipe of a job's model, training or trial."""
    if "model" in wildcards.keys():
        return MODELS[wildcards.model]
    if "training" in wildcards.keys():
        return TRAINED[wildcards.training]
    return UNTUNED[wildcards.untuned]


def asked(resource):
    """What a model's recipe asks for, as a function of the wildcards."""
    return lambda wildcards: getattr(of_job(wildcards).resources, resource)


def growing(least):
    """An amount that each further attempt asks for once more, up to four times: too little was why jobs of its rule fail."""
    return lambda wildcards, attempt: least * min(attempt, 4)


def gpus(wildcards):
    """The GPUs of a model's job, over all its nodes."""
    return asked("gpus")(wildcards) * asked("nodes")(wildcards)


def spanning(value):
    """A resource that only a job of several nodes asks for, from a function of the recipe's resources."""

    def resource(wildcards):
        resources = of_job(wildcards).resources
        return value(resources) if resources.nodes > 1 else None

    return resource


# What a network's job asks for. Of several nodes, Slurm starts a process on each, which is given the node's GPUs; its
# plugin would count tasks by GPU but for tasks_per_gpu.
NETWORK_JOB = {
    "mem_mb": asked("mem_mb"),
    "runtime": asked("runtime"),
    "gpu": gpus,
    "nodes": asked("nodes"),
    "mpi": spanning(lambda resources: "srun"),
    "tasks": spanning(lambda resources: resources.nodes),
    "tasks_per_gpu": spanning(lambda resources: 0),
    "slurm_extra": spanning(
        lambda resources: (
            f"--gpus-per-node={resources.gpus}" if resources.gpus else None
        )
    ),
}


def launcher(wildcards, output):
    """What starts a model's script: Python, or torchrun with a process for each GPU, on each node of several.

    How a model is computed decides nothing: taking `output`, this is no param that Snakemake compares.
    """
    resources = of_job(wildcards).resources
    if resources.nodes > 1:
        options = " ".join(
            f"--{name} {getattr(resources, name)}"
            for name in ("nodes", "gpus", "threads")
        )
        return f"python {shlex.quote(f'{SCRIPTS}/across_nodes.py')} {options}"
    # Without --, torchrun takes the --log of the script for an abbreviation of its own options.
    return (
        "python"
        if resources.gpus <= 1
        else f"torchrun --standalone --nproc-per-node={resources.gpus} --"
    )


def devices(wildcards, output):
    """The options that tell a model's script where it runs."""
    resources = of_job(wildcards).resources
    return f"--gpus {resources.gpus} --nodes {resources.nodes}"


def checkpoints(wildcards, output):
    """The options that tell how often a training saves itself."""
    recipe = of_job(wildcards)
    return f"--checkpoint-batches {recipe.checkpoint_batches} --checkpoint-minutes {recipe.checkpoint_minutes}"


def store(wildcards):
    """The image store, for a model that looks at pixels."""
    return f"{RESULTS}/images/images.h5" if of_job(wildcards).reads_images else []


def weights_of(wildcards):
    """The file of pretrained weights that a model starts from, where there is one."""
    return of_job(wildcards).weights_file or []


def predictions(name):
    """The predictions of a model or fusion."""
    return f"{RESULTS}/{'fuse' if name in FUSIONS else 'predict'}/{name}.parquet"


def test_access_log(wildcards, output):
    """The options that name the test-set access log, and the configuration that reads it.

    What is written there decides no result: taking `output`, this is no param that Snakemake compares.
    """
    return f"--test-access-log {TEST_ACCESS_LOG} --configuration {configuration_digest(study)}"


def sources():
    """The sources as the catalog reads them, with the paths of those that are drawn."""
    for source in study.data.sources:
        if source.generate:
            folder = f"{RESULTS}/demo/{source.name}"
            drawn = {"table": f"{folder}/train.csv", "images": f"{folder}/jpeg"}
            source = source.model_copy(update={"layout": "kaggle"} | drawn)
        yield source


def tables(source):
    """The tables of a source."""
    return [path for path in (source.table, source.metadata) if path]


def folders(source):
    """The folders of a source's images, but for those that nothing makes: the catalog names them among its findings."""
    given = [source.images] if isinstance(source.images, str) else source.images or []
    return [
        folder
        for folder in given
        if source.generate or folder in FETCHED or os.path.isdir(folder)
    ]


def report_folder(wildcards, output):
    """The folder of the report and its figures."""
    return f"{RESULTS}/report"


def figure(name, category):
    """A figure as an output that Snakemake's own report shows, too."""
    return report(
        f"{RESULTS}/report/{FIGURES[name]}",
        caption=f"../report/{name}.rst",
        category=category,
        labels={"figure": name.replace("_", " ")},
    )


def sheet(model):
    """A model's augmented images as an output that Snakemake's own report shows, too."""
    return report(
        f"{RESULTS}/report/augmentation/{model}.png",
        caption="../report/augmentation.rst",
        category="Training",
        labels={"figure": f"augmentation of {model}"},
    )


def trials_of(model):
    """The table of a model's trials."""
    return f"{RESULTS}/tune/{TRAINING[model]}/trials.csv"


wildcard_constraints:
    model="|".join(MODELS),
    training="|".join(map(re.escape, TRAINED)),
    fusion="|".join(FUSIONS) or "none",
    run="(fold-[0-9]+|refit)(-seed-[0-9]+)?",
    trial="[0-9a-f]{8}",
    shard="[0-9]+",
