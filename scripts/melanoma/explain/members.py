"""The models that a selected model consists of, and the explanation of each."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from melanoma.augment.tta import NO_TTA
from melanoma.compute.distributed import Processes
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_columns import COUNTS
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.explain.heat import Heat, explain
from melanoma.explain.importance import Importance, column_importance
from melanoma.models.plain_classifiers import Linear
from melanoma.models.probe_network import probe_network
from melanoma.models.tabular import MetadataModel
from melanoma.stats.metrics import Floats
from melanoma.training.embedder import frozen_network
from melanoma.training.loader import Examples
from melanoma.training.predictor import Predictor, TrainedNetwork, restored
from melanoma.training.prefetch import Prefetch


def single_models(name: str, fusions: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the names of the models in a model or fusion, whose members `fusions` has; each name once, in order."""
    if name not in fusions:
        return [name]
    return list(dict.fromkeys(single for member in fusions[name] for single in single_models(member, fusions)))


def network_heat(trained: TrainedNetwork, rows: pd.DataFrame, images: Path) -> Heat:
    """Return the maps of a trained network that reads images, for `rows` of the split, from the image store."""
    encoder = MetadataEncoder.from_dict(trained["encoder"])
    examples = Examples.of(rows, encoder, images, trained["recipe"]["input_size"])
    with Prefetch(0, pinned=False) as prefetch:
        predictor = restored(trained, len(encoder.names), torch.device("cpu"), prefetch, Processes())
        return explain(predictor, examples)


def probe_heat(model: MetadataModel, rows: pd.DataFrame, images: Path) -> Heat:
    """Return the maps of a linear probe, by its frozen network and the first of its runs that predict test.

    Metadata adds a constant to the logit of an image, so the maps do not need it.
    """
    assert model.backbone is not None
    frozen = frozen_network(model.backbone)
    examples = Examples.of(rows, MetadataEncoder.from_dict(frozen["encoder"]), images, frozen["recipe"]["input_size"])
    with Prefetch(0, pinned=False) as prefetch:
        predictor = restored(frozen, examples.metadata.shape[1], torch.device("cpu"), prefetch, Processes())
        return explain(probe_predictor(predictor, model), examples)


def probe_predictor(frozen: Predictor, model: MetadataModel) -> Predictor:
    """Return the predictor of a linear probe without its metadata, from that of its frozen network."""
    probe = model.runs[model.test_runs[0]].classifier
    assert isinstance(probe, Linear)
    return replace(frozen, network=probe_network(frozen.network, probe, columns=0))


def network_importance(trained: TrainedNetwork, table: pd.DataFrame, target: NDArray[np.int64]) -> list[Importance]:
    """Return the importance of each column for a network that reads metadata alone, on labeled images."""
    encoder = MetadataEncoder.from_dict(trained["encoder"])
    inputs = Recipe.model_validate(trained["recipe"]).metadata_inputs
    with Prefetch(0, pinned=False) as prefetch:
        predictor = restored(trained, len(encoder.names), torch.device("cpu"), prefetch, Processes())

        def logits(rows: pd.DataFrame) -> Floats:
            numbered = rows.assign(row=0)
            return predictor.predict(Examples.of(numbered, encoder, None, None), NO_TTA)[0]

        return column_importance(logits, table, inputs, target)


def metadata_importance(model: MetadataModel, table: pd.DataFrame, target: NDArray[np.int64]) -> list[Importance]:
    """Return the importance of each column for a metadata model. `table` has images_per_patient, if that is read."""
    inputs = [column for name in model.recipe.metadata_inputs for column in COUNTS.get(name, (name,))]
    return column_importance(lambda rows: model.probability(rows, model.test_runs)[0], table, inputs, target)
