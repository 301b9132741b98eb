"""Resources of jobs, the programs that start them, and options of their command lines."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from snakemake.iocontainers import InputFiles, OutputFiles, Wildcards

from melanoma.config.recipe import Recipe

# The resources that `model_resources` may return.
RESOURCES = ("mem_mb", "runtime", "gpu", "nodes", "mpi", "tasks", "tasks_per_gpu", "slurm_extra")


def growing(mem_mb: int, runtime: int) -> dict[str, Callable[[Wildcards, int], int]]:
    """Return memory in MB and run time in minutes that grow with each attempt, up to four times."""

    def grown(least: int) -> Callable[[Wildcards, int], int]:
        return lambda wildcards, attempt: least * min(attempt, 4)

    return {"mem_mb": grown(mem_mb), "runtime": grown(runtime)}


@dataclass(frozen=True)
class ModelJobs:
    """The jobs that train models or predict with them, by their wildcards.

    How a model is computed changes no result. So `launch`, `devices` and `checkpoints` take `output`: Snakemake does
    not compare a param that takes it. The trainings share the folder `compiled_networks`, which is no output either.
    """

    recipe_of_job: Callable[[Wildcards], Recipe]
    scripts: str
    store: str
    compiled_networks: str

    def resources(self) -> dict[str, Callable[[Wildcards], int | str | None]]:
        """Return the resources of a job, see `model_resources`."""

        def resource(name: str, wildcards: Wildcards) -> int | str | None:
            return model_resources(self.recipe_of_job(wildcards)).get(name)

        return {name: partial(resource, name) for name in RESOURCES}

    def threads(self, wildcards: Wildcards) -> int:
        """Return the number of threads of a job."""
        return self.recipe_of_job(wildcards).resources.threads

    def launch(self, wildcards: Wildcards, output: OutputFiles) -> str:
        """Return the command that starts a job's script, see `launcher`."""
        return launcher(self.recipe_of_job(wildcards), self.scripts)

    def devices(self, wildcards: Wildcards, output: OutputFiles) -> str:
        """Return the options for the number of GPUs and nodes."""
        asked = self.recipe_of_job(wildcards).resources
        return f"--gpus {asked.gpus} --nodes {asked.nodes}"

    def checkpoints(self, wildcards: Wildcards, output: OutputFiles) -> str:
        """Return the options for the time between checkpoints."""
        recipe = self.recipe_of_job(wildcards)
        return f"--checkpoint-batches {recipe.checkpoint_batches} --checkpoint-minutes {recipe.checkpoint_minutes}"

    def compiled(self, wildcards: Wildcards, output: OutputFiles) -> str:
        """Return the option for the folder of compiled networks, an empty string if the recipe does not compile."""
        return f"--compiled {self.compiled_networks}" if self.recipe_of_job(wildcards).compile else ""

    def images(self, wildcards: Wildcards) -> str | list[str]:
        """Return the image store for a network that reads images, an empty list for others."""
        return self.store if self.recipe_of_job(wildcards).reads_images else []

    def pretrained(self, wildcards: Wildcards) -> str | list[str]:
        """Return the file of pretrained weights that a job's network starts from, an empty list without one."""
        return self.recipe_of_job(wildcards).weights_file or []


def model_resources(recipe: Recipe) -> dict[str, int | str]:
    """Return the resources of a model's job: memory in MB, run time in minutes, GPUs and nodes.

    Of a model of frozen features, only the job of the frozen network uses the GPUs.
    On several nodes, Slurm starts one process on each node, which gets the GPUs of its node. The Slurm plugin would
    count tasks by GPU, so tasks_per_gpu is 0.
    """
    asked = recipe.resources
    nodes, gpus = asked.nodes if recipe.is_trained else 1, 0 if recipe.reads_features else asked.gpus
    resources: dict[str, int | str] = {"mem_mb": asked.mem_mb, "runtime": asked.runtime}
    resources |= {"gpu": gpus * nodes, "nodes": nodes}
    if nodes > 1:
        resources |= {"mpi": "srun", "tasks": nodes, "tasks_per_gpu": 0}
        resources |= {"slurm_extra": f"--gpus-per-node={gpus}"} if gpus else {}
    return resources


def launcher(recipe: Recipe, scripts: str) -> str:
    """Return the command that starts a model's script: python, or torchrun with a process for each GPU of a node.

    On several nodes it is across_nodes.py in the folder `scripts`.
    """
    asked = recipe.resources
    if asked.nodes > 1:
        options = " ".join(f"--{name} {getattr(asked, name)}" for name in ("nodes", "gpus", "threads"))
        return f"python {shlex.quote(f'{scripts}/across_nodes.py')} {options}"
    # Without --, torchrun takes the option --log of the script for an abbreviation of its own options.
    return "python" if asked.gpus <= 1 else f"torchrun --standalone --nproc-per-node={asked.gpus} --"


def input_options(wildcards: Wildcards, input: InputFiles, output: OutputFiles) -> str:
    """Return the option --NAME FILE ... for each input that has a name, but not for an empty one.

    Snakemake does not compare a param that takes `output`. It compares the inputs themselves.
    """
    given = {name: [paths] if isinstance(paths, str) else paths for name, paths in input.items()}
    return " ".join(f"--{name.replace('_', '-')} {shlex.join(paths)}" for name, paths in given.items() if paths)


def named(paths: Mapping[str, str]) -> list[str]:
    """Return NAME=PATH for each path, the form in which scripts take files with names."""
    return [f"{name}={path}" for name, path in paths.items()]


def one_of(names: Mapping[str, Any] | list[str]) -> str:
    """Return the regular expression of a wildcard that is one of `names`. Without names, it matches the word none."""
    return "|".join(map(re.escape, names)) or "none"
