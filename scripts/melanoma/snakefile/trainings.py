"""The trainings of a study's models: their names, recipes, trials and runs."""

from dataclasses import dataclass
from functools import cached_property

from snakemake.iocontainers import Wildcards

from melanoma.config.facts import training_name
from melanoma.config.recipe import Recipe
from melanoma.config.search_space import trial_recipes
from melanoma.config.study import Study


@dataclass(frozen=True)
class Trainings:
    """The trainings of the models of a study.

    Models whose recipes differ in nothing that is trained share one training. A training has one run for each fold in
    `folds`, as in fold-0, and a run named refit where `refits` says so. Each seed of a model has runs of its own.
    """

    models: dict[str, Recipe]
    folds: tuple[str, ...]
    refits: bool

    @classmethod
    def from_study(cls, study: Study) -> "Trainings":
        """Return the trainings of a study."""
        folds = tuple(f"fold-{fold}" for fold in study.split.run_folds)
        return cls(study.models, folds, study.predict.test == "refit")

    @cached_property
    def names(self) -> dict[str, str]:
        """The name of each model's training."""
        return {model: training_name(recipe) for model, recipe in self.models.items()}

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        """The recipe of each training: that of the first model that shares it."""
        return {self.names[model]: self.models[model] for model in reversed(self.models)}

    @cached_property
    def trials(self) -> dict[str, dict[str, Recipe]]:
        """The recipe of each trial, by the names of the tuned training and of the trial."""
        return {
            name: trial_recipes(recipe) for name, recipe in self.recipes.items() if recipe.is_trained and recipe.tune
        }

    @cached_property
    def untuned(self) -> dict[str, str]:
        """The name of each tuned training without its search space. All its trials share this name."""
        return {name: training_name(self.recipes[name].model_copy(update={"tune": None})) for name in self.trials}

    @cached_property
    def untuned_recipes(self) -> dict[str, Recipe]:
        """The recipe behind each name in `untuned`."""
        return {untuned: self.recipes[name] for name, untuned in self.untuned.items()}

    @cached_property
    def frozen_networks(self) -> dict[str, Recipe]:
        """The recipe of each network whose features models read, by its name as a training."""
        networks = [network for recipe in self.models.values() if (network := recipe.frozen_network) is not None]
        return {training_name(network): network for network in reversed(networks)}

    def trial_recipe(self, untuned: str, trial: str) -> Recipe:
        """Return the recipe of a trial. Trainings with the same untuned name may share the trial."""
        return next(
            trials[trial] for name, trials in self.trials.items() if self.untuned[name] == untuned and trial in trials
        )

    def runs(self, model: str) -> list[str]:
        """Return the names of a model's runs."""
        runs = [*self.folds, *(["refit"] if self.refits else [])]
        seeds = self.models[model].seeds
        return [f"{run}-seed-{seed}" for run in runs for seed in seeds] if seeds else runs

    def folds_of_refit(self, refit: str) -> list[str]:
        """Return the runs of the folds, with the refit's seed, from which the refit takes its number of epochs."""
        return [refit.replace("refit", fold) for fold in self.folds]

    def recipe_of_job(self, wildcards: Wildcards) -> Recipe:
        """Return the recipe of a job's model, frozen network, training or trial."""
        if wildcards.get("model"):
            return self.models[wildcards.model]
        if wildcards.get("embedding"):
            return self.frozen_networks[wildcards.embedding]
        if wildcards.get("training"):
            return self.recipes[wildcards.training]
        return self.untuned_recipes[wildcards.untuned]


def seed_option(run: str) -> str:
    """Return the option --seed with the seed in a run's name; empty if the name has none."""
    _, marked, seed = run.partition("-seed-")
    return f"--seed {seed}" if marked else ""
