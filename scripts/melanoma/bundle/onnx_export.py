"""A trained network as ONNX, for runtimes without torch. Its logits are checked against those of torch."""

import logging
import warnings
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from melanoma.augment.transforms import IMAGENET_MEAN, IMAGENET_STD
from melanoma.augment.tta import NO_TTA
from melanoma.common.errors import InputError
from melanoma.compute.distributed import Processes
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import EncoderValues, MetadataEncoder
from melanoma.images.store import Preparation
from melanoma.models.classifier import Classifier
from melanoma.training.loader import DeviceBatch, Examples, PredictionBatches, to_device
from melanoma.training.predictor import TrainedNetwork, restored
from melanoma.training.prefetch import Prefetch

TOLERANCE = 1e-4  # of a logit
HOW = [
    "Prepare each image as `preparation` says: turn it upright, cut a dark border off (crop_border), make its colors"
    " constant (color_constancy), then cut the largest central square (fit center_crop) or distort it to a square"
    " (fit resize), and resize it to `size` pixels a side by averaging areas. classify.py decodes large"
    " JPEGs at a reduced size, so pixels may differ by about one gray level.",
    "Resize it to `side` pixels if `size` differs, linearly, after averaging areas by the largest whole factor.",
    "`images` are the pixels of the views of `tta` in models/NAME.json: uint8 (n, side, side, 3), RGB. The model"
    " normalizes them itself.",
    "`metadata` is float32 (n, columns), in the order of `columns`: age is (years - age_mean) / age_deviation, 0 if"
    " missing; every other column is 1 where it applies and 0 elsewhere.",
    "The output `logit`, float32 (n,), is the log-odds of melanoma. Average it over the views: logits or probabilities,"
    " as mean_of of `tta` says.",
    "Average the logits of the runs of one fold that differ by their seed, then the probabilities of the folds.",
    "models/NAME.json of a fusion says how it combines its members.",
    "Compare this probability with `thresholds`. Then calibrate it as `calibrator` says: logit(r) = slope logit(p) +"
    " intercept, or for isotonic linear between its corners (probability, calibrated).",
]


class OnnxNetwork(TypedDict):
    """What a foreign runtime needs to know of a network. `runs` has the path of the model of each training."""

    runs: dict[str, str]
    preparation: Preparation | None  # of the images, or None if it reads none
    side: int
    columns: list[str]  # of the metadata, empty if it reads none
    encoder: EncoderValues


class Onnx(TypedDict):
    """The networks by name; and in plain words, how a runtime without this workflow gets a probability from them."""

    networks: dict[str, OnnxNetwork]
    how: list[str]


class FromPixels(nn.Module):
    """A network that reads pixels, uint8 (n, side, side, 3) RGB, and returns the logits of melanoma, (n,)."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: Classifier) -> None:
        super().__init__()
        self.network = network
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, 255 * torch.tensor(values, dtype=torch.float32)[:, None, None])

    def forward(self, images: Tensor | None = None, metadata: Tensor | None = None) -> Tensor:
        """Return the logits of images, of their metadata, float32 (n, columns), or of both: what the network reads."""
        normal = None if images is None else (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        unread = torch.empty(0)
        logits: Tensor = self.network(normal, unread if metadata is None else metadata)[:, 0]
        return logits


def to_onnx(trained: TrainedNetwork, examples: Examples, name: str) -> bytes:
    """Return a trained network as an ONNX model in float32, whose batches can have any size.

    `examples` are at least two images of the study, on which the logits of the model are compared with those of torch.
    Raises InputError if the network cannot be exported, or if a logit differs by more than TOLERANCE.
    """
    exact: TrainedNetwork = {**trained, "recipe": {**trained["recipe"], "precision": "float32"}}
    with Prefetch(0, pinned=False) as prefetch:
        columns = examples.metadata.shape[1]
        predictor = restored(exact, columns, torch.device("cpu"), prefetch, Processes())
    network = predictor.network.eval()
    batch = PredictionBatches(examples, len(examples.rows), NO_TTA, predictor.recipe)[0]
    inputs = {"images": batch.images} if isinstance(batch.images, Tensor) else {}
    inputs |= {} if network.metadata is None else {"metadata": batch.metadata}
    try:
        data = _exported(FromPixels(network).eval(), inputs)
    except Exception as error:  # The exporter raises exceptions of any kind.
        raise InputError(f"{name} cannot be exported to ONNX ({error}). Make the bundle without --onnx") from error
    with torch.no_grad():
        device: DeviceBatch = to_device(batch, torch.device("cpu"))
        expected = network(device.images, device.metadata)[:, 0].numpy()
    _require_parity(_logits(data, inputs), expected, name)
    return data


def about_network(trained: TrainedNetwork, runs: dict[str, str]) -> OnnxNetwork:
    """Return what bundle.json says about the models of a network, whose paths are `runs`."""
    recipe = Recipe.model_validate(trained["recipe"])
    encoder = MetadataEncoder.from_dict(trained["encoder"])
    return OnnxNetwork(
        runs=runs,
        preparation=trained["images"],
        side=trained["size"],
        columns=encoder.names if recipe.metadata_inputs else [],
        encoder=trained["encoder"],
    )


def _exported(model: nn.Module, inputs: dict[str, Tensor]) -> bytes:
    count = torch.export.Dim("n")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own internals
        program = torch.onnx.export(
            model,
            (),
            kwargs=inputs,
            dynamo=True,
            input_names=list(inputs),
            output_names=["logit"],
            dynamic_shapes={name: {0: count} for name in inputs},
            external_data=False,
            verbose=False,
        )
    assert program is not None
    data: bytes = program.model_proto.SerializeToString()
    return data


def _logits(data: bytes, inputs: dict[str, Tensor]) -> NDArray[np.float32]:
    import onnxruntime

    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    outputs = session.run(["logit"], {name: value.numpy() for name, value in inputs.items()})
    return np.asarray(outputs[0], np.float32)


def _require_parity(logits: NDArray[np.float32], expected: NDArray[np.float32], name: str) -> None:
    difference = float(np.abs(logits - expected).max())
    if not difference <= TOLERANCE:
        raise InputError(
            f"{name}: the logits of the ONNX model differ from those of torch by up to {difference:.2g}; expected at"
            f" most {TOLERANCE:g}. Make the bundle without --onnx"
        )
