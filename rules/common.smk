"""Names and paths that every stage shares. No rules."""

import json
import os
import re
import shutil
import time
from pathlib import Path

from melanoma.dependencies import find_first, local_imports, use_this_interpreter
from melanoma.retries import failures, retry_what_may_pass
from melanoma.study import (
    all_fusions,
    configuration_digest,
    has_images,
    is_foreign,
    is_tabular,
    is_trained,
    pieces,
    reads_images,
    training_recipe,
    trial_recipes,
)
from melanoma.weights_files import weights_file

use_this_interpreter()
# Slurm's, whose answers its plugin does not all understand.
for program in ("squeue", "sacct"):
    if shutil.which(program):
        find_first(Path(workflow.basedir, "profiles", "slurm", "bin", program))

STARTED = time.time()
retry_what_may_pass(STARTED)

RESULTS = f"results/{config['study']}"
LOGS = f"logs/{config['study']}"
ENVIRONMENT = f"{workflow.basedir}/envs/environment.yaml"

MODELS = config["models"]
NETWORKS = [name for name, recipe in MODELS.items() if is_trained(recipe)]
TABULAR = [name for name, recipe in MODELS.items() if is_tabular(recipe)]
FOREIGN = [name for name, recipe in MODELS.items() if is_foreign(recipe)]
TRIALS = {
    name: trial_recipes(MODELS[name]) for name in NETWORKS if MODELS[name]["tune"]
}
REPEATED = [name for name in NETWORKS if MODELS[name]["seeds"]]
SEEING = [name for name, recipe in MODELS.items() if reads_images(recipe)]
HAS_IMAGES = has_images(config)
QUALITY = f"{RESULTS}/images/{'quality' if HAS_IMAGES else 'sizes'}.parquet"
FUSIONS = all_fusions(config)
FOLD_RUNS = [f"fold-{fold}" for fold in config["split"]["run_folds"]]
RUNS = FOLD_RUNS + (["refit"] if config["predict"]["test"] == "refit" else [])
SHARDS = [f"{shard:03d}" for shard in range(config["images"]["shards"])]
# No output of any rule: Snakemake would delete it.
LEDGER = f"{RESULTS}/test_ledger.jsonl"
CONFIGURATION = configuration_digest(config)
# All of the configuration, in files small enough for a command line to carry each: 128 kB is its limit.
STUDY = {
    f"study-{number}" if number else "study": piece
    for number, piece in enumerate(pieces(config, 64_000))
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
TUNING = {f"tuning:{model}": f"tuning/{model}.svg" for model in TRIALS}
GENERATED = {
    s["name"]: s["generate"] for s in config["data"]["sources"] if "generate" in s
}
FETCHED = {
    path: download
    for path, download in config["fetch"].items()
    if not os.path.lexists(path)
}


def code(stage):
    """The script of a stage, then all local modules that it imports: inputs, so that an edit reruns what it changes."""
    script = Path(workflow.basedir, "scripts", f"{stage}.py")
    return [os.path.relpath(path) for path in local_imports(script)]


def project_file(name):
    """A file of the project that is neither script nor module, as an input."""
    return os.path.relpath(Path(workflow.basedir, name))


def settings(section):
    """The file that holds one section of the configuration."""
    return f"{RESULTS}/config/{section}.yaml"


def recipe_file(model):
    """The file that holds a model's recipe: as it is given, or as its tuning chose it."""
    return (
        f"{RESULTS}/tune/{model}/recipe.yaml"
        if model in TRIALS
        else f"{RESULTS}/config/models/{model}.yaml"
    )


def recipe(wildcards):
    """The file that holds the recipe of a job's model."""
    return recipe_file(wildcards.model)


def runs(model):
    """The names of a model's trainings, several of each run where it has several seeds."""
    seeds = MODELS[model]["seeds"] or []
    return [
        name
        for run in RUNS
        for name in [f"{run}-seed-{seed}" for seed in seeds] or [run]
    ]


def seed_option(wildcards):
    """The option that gives a training the seed in its name."""
    _, marked, seed = wildcards.run.partition("-seed-")
    return f"--seed {seed}" if marked else ""


def histories(model):
    """The histories of a model's trainings."""
    return [f"{RESULTS}/train/{model}/{run}/history.csv" for run in runs(model)]


def folds_of(wildcards):
    """The histories of the folds that a refit takes its number of epochs from: those of its own seed."""
    names = [wildcards.run.replace("refit", fold) for fold in FOLD_RUNS]
    return [f"{RESULTS}/train/{wildcards.model}/{name}/history.csv" for name in names]


def asked(resource):
    """What a model's recipe asks for, as a function of the wildcards."""
    return lambda wildcards: MODELS[wildcards.model]["resources"][resource]


def growing(least):
    """An amount that each further attempt asks for once more, up to four times: too little was why jobs of its rule fail."""
    return lambda wildcards, attempt: least * min(attempt, 4)


def gpus(wildcards):
    """The GPUs of a model's job, over all its nodes."""
    return asked("gpus")(wildcards) * asked("nodes")(wildcards)


def spanning(value):
    """A resource that only a job of several nodes asks for, from a function of the recipe's resources."""

    def resource(wildcards):
        found = MODELS[wildcards.model]["resources"]
        return value(found) if found["nodes"] > 1 else None

    return resource


# What a network's job asks for. Of several nodes, Slurm starts a process on each, which is given the node's GPUs; its
# plugin would count tasks by GPU but for tasks_per_gpu.
NETWORK_JOB = {
    "mem_mb": asked("mem_mb"),
    "runtime": asked("runtime"),
    "gpu": gpus,
    "nodes": asked("nodes"),
    "mpi": spanning(lambda found: "srun"),
    "tasks": spanning(lambda found: found["nodes"]),
    "tasks_per_gpu": spanning(lambda found: 0),
    "slurm_extra": spanning(
        lambda found: f"--gpus-per-node={found['gpus']}" if found["gpus"] else None
    ),
}


def launcher(wildcards):
    """What starts a model's script: Python, or torchrun with a process for each GPU, on each node of several."""
    found = MODELS[wildcards.model]["resources"]
    if found["nodes"] > 1:
        options = " ".join(
            f"--{name} {found[name]}" for name in ("nodes", "gpus", "threads")
        )
        return f"python {project_file('scripts/across_nodes.py')} {options}"
    # Without --, torchrun takes the --log of the script for an abbreviation of its own options.
    return (
        "python"
        if found["gpus"] <= 1
        else f"torchrun --standalone --nproc-per-node={found['gpus']} --"
    )


def store(wildcards):
    """The image store, for a model that looks at pixels."""
    return (
        f"{RESULTS}/images/images.h5" if reads_images(MODELS[wildcards.model]) else []
    )


def weights_of(wildcards):
    """The file of pretrained weights that a model starts from, where there is one."""
    return weights_file(MODELS[wildcards.model]) or []


def needs_test(run):
    """Whether a run's model predicts the test images."""
    return run.startswith("refit") or config["predict"]["test"] == "fold_mean"


def predictions(name):
    """The predictions of a model or fusion."""
    return f"{RESULTS}/{'fuse' if name in FUSIONS else 'predict'}/{name}.parquet"


def sources():
    """The sources as the catalog reads them, with the paths of those that are drawn."""
    for source in config["data"]["sources"]:
        if source["name"] in GENERATED:
            folder = f"{RESULTS}/demo/{source['name']}"
            drawn = {
                "layout": "kaggle",
                "table": f"{folder}/train.csv",
                "images": f"{folder}/jpeg",
            }
            source = {
                key: value for key, value in source.items() if key != "generate"
            } | drawn
        yield source


def tables(source):
    """The tables of a source."""
    return [path for path in (source["table"], source["metadata"]) if path]


def folders(source):
    """The folders of a source's images, but for those that nothing makes: the catalog names them among its findings."""
    given = (
        [source["images"]]
        if isinstance(source["images"], str)
        else source["images"] or []
    )
    return [
        folder
        for folder in given
        if source["name"] in GENERATED or folder in FETCHED or os.path.isdir(folder)
    ]


def figure(name, category):
    """A figure as an output that Snakemake's own report shows, too."""
    return report(
        f"{RESULTS}/report/{FIGURES[name]}",
        caption=f"../report/{name}.rst",
        category=category,
        labels={"figure": name.replace("_", " ")},
    )


wildcard_constraints:
    model="|".join(MODELS),
    fusion="|".join(FUSIONS) or "none",
    run="(fold-[0-9]+|refit)(-seed-[0-9]+)?",
    trial="[0-9a-f]{8}",
    shard="[0-9]+",
