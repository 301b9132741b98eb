"""Maps of heat of photographs, by the networks of a bundle."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from melanoma.bundle.model import BundledModel
from melanoma.compute.device import compute_device
from melanoma.compute.distributed import Processes
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.explain.heat import explain
from melanoma.explain.members import probe_predictor
from melanoma.images.shards import Photographs
from melanoma.images.store import Preparation
from melanoma.training.loader import Examples
from melanoma.training.predictor import Predictor, TrainedNetwork, restored
from melanoma.training.prefetch import Prefetch


class Mapper:
    """Explains photographs by the first training of each image network and linear probe of a bundle.

    Raises InputError if a network needs a GPU that is missing.
    """

    def __init__(self, bundle: BundledModel, gpus: int, prefetch: Prefetch) -> None:
        frozen = bundle.frozen_networks
        self.networks: list[tuple[TrainedNetwork, Preparation, Predictor]] = []
        for name, network in bundle.networks.items():
            trained = network.runs[network.test_runs[0]]
            if trained["images"] is None:
                continue
            predictor = _predictor(trained, gpus, prefetch)
            probes = [bundle.metadata[probe] for probe, features in frozen.items() if features == name]
            explained = [probe_predictor(predictor, probe) for probe in probes if probe.recipe.is_probe]
            for each in explained if name in frozen.values() else [predictor]:
                self.networks.append((trained, trained["images"], each))
        self.methods: list[str] = []

    def maps(self, rows: pd.DataFrame) -> NDArray[np.uint8] | None:
        """Return the mean map of all networks for readable images, (n, SIDE, SIDE), or None without an image network.

        `rows` has file, age, sex and site. `methods` then has the method of each network.
        """
        heats = []
        table = rows.assign(row=np.arange(len(rows)))
        for trained, preparation, predictor in self.networks:
            encoder = MetadataEncoder.from_dict(trained["encoder"])
            examples = Examples.of(table, encoder, None, trained["size"])
            heats.append(explain(predictor, replace(examples, store=Photographs(rows["file"].tolist(), preparation))))
        self.methods = [heat.method for heat in heats]
        return np.rint(np.mean([heat.maps for heat in heats], axis=0)).astype(np.uint8) if heats else None


def _predictor(trained: TrainedNetwork, gpus: int, prefetch: Prefetch) -> Predictor:
    columns = len(MetadataEncoder.from_dict(trained["encoder"]).names)
    device = compute_device(gpus, trained["recipe"]["precision"])
    return restored(trained, columns, device, prefetch, Processes())
