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
from melanoma.images.shards import Photographs
from melanoma.training.loader import Examples
from melanoma.training.predictor import Predictor, TrainedNetwork, restored
from melanoma.training.prefetch import Prefetch


class Mapper:
    """Explains photographs by the first training of each image network of a bundle.

    Raises InputError if a network needs a GPU that is missing.
    """

    def __init__(self, bundle: BundledModel, gpus: int, prefetch: Prefetch) -> None:
        frozen = bundle.frozen_networks.values()
        networks = [network for name, network in bundle.networks.items() if name not in frozen]
        trained = [network.runs[network.test_runs[0]] for network in networks]
        self.networks = [
            (one, one["images"], _predictor(one, gpus, prefetch)) for one in trained if one["images"] is not None
        ]
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
