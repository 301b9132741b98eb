"""The columns of a table that a bundle reads, and what its models do with an image that has no value of one."""

from statistics import mean

import pandas as pd

from melanoma.bundle.model import BundledModel
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import MetadataEncoder


def without_values(bundle: BundledModel, training: pd.DataFrame) -> dict[str, str]:
    """Return for each column that the bundle reads what an image without a value counts as, in words.

    `training` has the training images with age, sex and site.
    """
    ages = [encoder.age_mean for encoder in _encoders_of_age(bundle)]
    years = f"{mean(ages):.0f} years" if ages else ""
    counts_as = {
        "age": f"the mean age of the training images, {years}, and a mark that it is missing",
        "sex": "the category missing",
        "site": "the category missing, as does a site that no training image has",
        "patient": "the only image of its patient",
    }
    return {
        column: counts_as[column] + ("" if column == "patient" else _share(training[column]))
        for column in bundle.columns_read
    }


def _encoders_of_age(bundle: BundledModel) -> list[MetadataEncoder]:
    """Return the encoders of all trainings and fusions that read the age."""
    runs = [run for network in bundle.networks.values() for run in network.runs.values()]
    reading = [run for run in runs if "age" in Recipe.model_validate(run["recipe"]).metadata_inputs]
    encoders = [run.encoder for model in bundle.metadata.values() for run in model.runs.values()]
    encoders += [stack.encoder for stack in bundle.stacks]
    fitted = [encoder.metadata for encoder in encoders if "age" in encoder.inputs]
    return [MetadataEncoder.from_dict(run["encoder"]) for run in reading] + fitted


def _share(values: pd.Series) -> str:
    missing = int(values.isna().sum())
    if not missing:
        return ". No training image is without it, so the models have not learned this case"
    return f". {missing:,} of {len(values):,} training images are without it"
