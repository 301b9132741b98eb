"""A bundle that is read: the models in it, and the predictions of its model from those of its networks."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.bundle.contents import FROZEN, BundleFile, Kind, read_bundle
from melanoma.bundle.reference import Reference
from melanoma.common.errors import InputError
from melanoma.config.augmentation import TTA
from melanoma.config.recipe import Recipe
from melanoma.fusion.saved_fusion import Fusion
from melanoma.fusion.stacking import Stack
from melanoma.models.tabular import MetadataModel
from melanoma.stats.calibration import NONE, Calibrator, calibrator_from
from melanoma.stats.conformal import p_values
from melanoma.stats.metrics import Floats
from melanoma.training.saved_network import NetworkModel, from_safetensors

# The features of images, (n, width), by network and run.
Embedded = dict[tuple[str, str], NDArray[np.float32]]


@dataclass(frozen=True)
class BundledModel:
    """The models of a bundle by name and kind, and what bundle.json says about them.

    `networks` also has the frozen networks. `frozen_networks` has the name of that of each model of frozen features.
    """

    about: BundleFile
    networks: dict[str, NetworkModel]
    metadata: dict[str, MetadataModel]
    fusions: dict[str, Fusion]
    frozen_networks: dict[str, str]
    reference: Reference | None = None  # embeddings of training images, if a network reads images

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a bundle. Raises InputError if it is not whole."""
        return cls.from_files(*read_bundle(folder))

    @classmethod
    def from_files(cls, about: BundleFile, files: dict[str, bytes]) -> Self:
        """Return the models in the files of a bundle, by their paths."""
        values = {name: json.loads(files[f"models/{name}.json"]) for name in about["models"]}
        by_kind: dict[str, dict[str, Any]] = {kind: {} for kind in get_args(Kind)}
        for name, kind in about["models"].items():
            by_kind[kind][name] = values[name]
        kept = about.get("training_embeddings")
        networks = by_kind["network"] | by_kind["frozen_network"]
        return cls(
            about,
            {name: _network(name, entry, files) for name, entry in networks.items()},
            {name: MetadataModel.from_dict(entry) for name, entry in by_kind["metadata"].items()},
            {name: Fusion.from_dict(entry) for name, entry in by_kind["fusion"].items()},
            {name: entry["frozen_network"] for name, entry in by_kind["metadata"].items() if "frozen_network" in entry},
            None if kept is None else Reference.from_bytes(files[kept["file"]], kept["limit"]),
        )

    @property
    def columns_read(self) -> list[str]:
        """The columns of a table that any of the models reads: those of age, sex, site and patient."""
        runs = [run for network in self.networks.values() for run in network.runs.values()]
        recipes = [Recipe.model_validate(run["recipe"]) for run in runs]
        recipes += [model.recipe for model in self.metadata.values()]
        inputs = {name for recipe in recipes for name in recipe.metadata_inputs}
        inputs |= {name for stack in self.stacks for name in stack.encoder.inputs}
        if "images_per_patient" in inputs or any(fusion.context for fusion in self.fusions.values()):
            inputs.add("patient")
        return [column for column in ("age", "sex", "site", "patient") if column in inputs]

    @property
    def stacks(self) -> list[Stack]:
        """The fusions that read metadata or patient context."""
        combinations = [fusion.combination for fusion in self.fusions.values()]
        return [combination for combination in combinations if isinstance(combination, Stack)]

    @property
    def reads_embeddings(self) -> bool:
        """Tell whether any of the models reads the features of images."""
        return bool(self.frozen_networks) or any(fusion.context for fusion in self.fusions.values())

    def predict(
        self, networks: dict[str, pd.DataFrame], table: pd.DataFrame, embeddings: Embedded | None = None
    ) -> pd.DataFrame:
        """Return the predictions of the bundle's model, see `predict_members`."""
        return self.predict_members(networks, table, embeddings)[self.about["name"]]

    def predict_members(
        self, networks: dict[str, pd.DataFrame], table: pd.DataFrame, embeddings: Embedded | None = None
    ) -> dict[str, pd.DataFrame]:
        """Return the predictions of the bundle's model and of all its members by name, in the order of `table`.

        `networks` maps each network to its predictions (see `table.read_predictions`) of the images of `table`, which
        has image, patient, age, sex and site. A model of frozen features needs the `embeddings` of its network.
        """
        predictions = dict(networks)
        for name in self.about["models"]:
            if name in self.metadata:
                predictions[name] = self.metadata[name].predict(self._with_features(name, table, embeddings))
            elif name in self.fusions:
                predictions[name] = self.fusions[name].predict(predictions, table)
        return {name: rows.set_index("image").loc[table["image"]].reset_index() for name, rows in predictions.items()}

    def _with_features(self, name: str, table: pd.DataFrame, embeddings: Embedded | None) -> pd.DataFrame:
        """Return `table` with the features that a model of frozen features reads; for another model as it is."""
        network = self.frozen_networks.get(name)
        if network is None or embeddings is None:
            return table
        return table.assign(embedding=list(embeddings[network, FROZEN]))

    def threshold(self, rule: str) -> float:
        """Return the threshold of a rule. Raises InputError if the bundle has no such rule."""
        known = self.about["thresholds"]
        if rule not in known:
            raise InputError(f"the bundle has no threshold {rule}; its thresholds are {', '.join(known) or 'none'}")
        return known[rule]

    def calibrated(self, probability: Floats, prevalence: float | None = None) -> Floats:
        """Return calibrated probabilities, (n,), for the study's prevalence of melanoma or for another one."""
        entry = self.about["calibrator"]
        calibrator: Calibrator = NONE if entry is None else calibrator_from(entry)
        result = calibrator.apply(probability)
        if prevalence is None:
            return result
        # The odds are multiplied without a logarithm: 0 and 1, which an isotonic calibrator gives, stay as they are.
        factor = _odds(prevalence) / _odds(self.about["prevalence"])
        return np.asarray(result * factor / (result * factor + 1.0 - result))

    def conformal_classes(self, probability: Floats, error_rate: float) -> list[str]:
        """Return for each calibrated probability, (n,), the classes that are not excluded at the error rate.

        It is "benign", "melanoma", "benign or melanoma" or "neither". With the last two the model abstains.
        """
        benign, melanoma = self.about["out_of_fold"]["benign"], self.about["out_of_fold"]["melanoma"]
        as_benign = p_values(1.0 - np.array(benign["probability"]), benign["weight"], 1.0 - probability)
        as_melanoma = p_values(melanoma["probability"], melanoma["weight"], probability)
        words = {(True, False): "benign", (False, True): "melanoma", (True, True): "benign or melanoma"}
        kept = zip((as_benign > error_rate).tolist(), (as_melanoma > error_rate).tolist(), strict=True)
        return [words.get(pair, "neither") for pair in kept]


def _odds(share: float) -> float:
    return share / (1.0 - share)


def _network(name: str, values: dict[str, Any], files: dict[str, bytes]) -> NetworkModel:
    paths = {run: f"models/{name}/{run}.safetensors" for run in values["runs"]}
    return NetworkModel(
        TTA.model_validate(values["tta"]),
        values["test_runs"],
        {run: from_safetensors(files[path], path) for run, path in paths.items()},
        {run: entry["test_from"] for run, entry in values["runs"].items()},
    )
