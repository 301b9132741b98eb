"""Pairs of models of two studies, compared on the test images that both studies have."""

from dataclasses import dataclass

import pandas as pd

from melanoma.common.errors import InputError
from melanoma.comparison.finished import Finished
from melanoma.config.study import Evaluate
from melanoma.evaluation.cohorts import clusters_drawn, resampling
from melanoma.stats.bootstrap import Interval, estimate
from melanoma.stats.comparison import Pair, common_images, compare
from melanoma.stats.metrics import Auroc


@dataclass(frozen=True)
class ModelPair:
    """A model of each study, both on the same test images, with their AUROCs.

    `test` compares them: the difference is the AUROC of the first study's model minus that of the second.
    """

    label: str
    models: tuple[str, str]
    auroc: tuple[Interval, Interval]
    test: Pair


def common_test(first: Finished, second: Finished) -> pd.DataFrame:
    """Return the labeled images that are test in both studies: image, target, and patient as in the first study.

    Raises InputError if there are none, or none of one class, or if an image has two labels.
    """
    tables = common_images({"first": next(iter(first.test.values())), "second": next(iter(second.test.values()))})
    ours, theirs = tables["first"], tables["second"]
    if ours["target"].nunique() < 2:
        raise InputError(
            f"{first.folder} and {second.folder} have {len(ours)} test images in common, with"
            f" {int(ours['target'].sum())} melanomas. Models are compared on the same images of both classes. Give the"
            f" second study the split of the first: split: {{method: saved, file: {first.folder}/split/split.parquet}}"
        )
    different = ours.loc[(ours["target"] != theirs["target"]).to_numpy(), "image"]
    if len(different):
        raise InputError(
            f"{first.folder} and {second.folder} have different labels for {len(different)} test images. The first is"
            f" {different.iloc[0]}. Compare studies whose tables agree"
        )
    return ours


def model_pairs(first: Finished, second: Finished) -> list[ModelPair]:
    """Compare the selected models, and then all models that have the same name, on the common test images.

    The bootstrap has the options of the first study: replicates, confidence level, seed.
    """
    images = common_test(first, second)
    same_names = [(model, model) for model in first.test if model in second.test]
    selected = (first.selected_model, second.selected_model)
    pairs = [("selected models", selected), *((models[0], models) for models in same_names)]
    return [_compared(label, (first, second), models, images) for label, models in pairs]


def _compared(
    label: str, studies: tuple[Finished, Finished], models: tuple[str, str], images: pd.DataFrame
) -> ModelPair:
    settings: Evaluate = studies[0].evaluate
    target, (_, clusters) = images["target"].to_numpy(int), clusters_drawn(images)
    scores = {
        place: study.test[model].set_index("image").loc[images["image"], "probability"].to_numpy()
        for place, study, model in zip(("first", "second"), studies, models, strict=True)
    }
    measures = {place: Auroc(target, score) for place, score in scores.items()}
    areas = estimate(measures, target, clusters, **resampling(settings))
    (test,) = compare(target, scores, clusters, **resampling(settings))
    first, second = (areas[place]["auroc"].bounds for place in scores)
    return ModelPair(label, models, (first, second), test)
