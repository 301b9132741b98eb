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
from melanoma.data.metadata_columns import InputEncoder
from melanoma.data.metadata_encoder import EncoderValues, MetadataEncoder
from melanoma.images.store import Preparation
from melanoma.models.classifier import Classifier
from melanoma.models.plain_classifiers import Linear
from melanoma.models.probe_network import probe_network
from melanoma.training.embedder import VIEWS
from melanoma.training.loader import DeviceBatch, Examples, PredictionBatches, to_device
from melanoma.training.predictor import Predictor, TrainedNetwork, restored
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
    "`metadata` is float32 (n, columns), in the order of `columns` of the training: age is"
    " (years - age_mean) / age_deviation, 0 if missing; every other column is 1 where it applies and 0 elsewhere.",
    "The output `logit`, float32 (n,), is the log-odds of melanoma. Average it over the views: logits or probabilities,"
    " as mean_of of `tta` says. The model of a linear probe computes its views itself.",
    "The model of a linear probe may read more columns: a number such as the width is (log(number) - mean) / deviation"
    " by `logarithms`, 0 if unknown; the column after it is 1 if the number is unknown.",
    "Average the logits of the runs of one fold that differ by their seed, then the probabilities of the folds.",
    "models/NAME.json of a fusion says how it combines its members.",
    "Compare this probability with `thresholds`. Then calibrate it as `calibrator` says: logit(r) = slope logit(p) +"
    " intercept, or for isotonic linear between its corners (probability, calibrated).",
]


class OnnxRun(TypedDict):
    """A training of a network: the path of its model, and the metadata that it reads."""

    model: str
    columns: list[str]  # empty if it reads none
    encoder: EncoderValues
    logarithms: dict[str, tuple[float, float]]  # mean and deviation by column; only a linear probe has some


class OnnxNetwork(TypedDict):
    """What a foreign runtime needs to know of a network or a linear probe, and of each training that predicts test."""

    preparation: Preparation | None  # of the images, or None if it reads none
    side: int
    runs: dict[str, OnnxRun]


class Onnx(TypedDict):
    """The networks by name; and in plain words, how a runtime without this workflow gets a probability from them."""

    networks: dict[str, OnnxNetwork]
    how: list[str]


class FromPixels(nn.Module):
    """A network that reads pixels, uint8 (n, side, side, 3) RGB, and returns the logits of melanoma, (n,).

    With `dihedral`, a logit is the mean over the eight flips and turns of the image.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: Classifier, dihedral: bool = False) -> None:
        super().__init__()
        self.network, self.dihedral = network, dihedral
        for name, values in (("mean", IMAGENET_MEAN), ("std", IMAGENET_STD)):
            self.register_buffer(name, 255 * torch.tensor(values, dtype=torch.float32)[:, None, None])

    def forward(self, images: Tensor | None = None, metadata: Tensor | None = None) -> Tensor:
        """Return the logits of images, of their metadata, float32 (n, columns), or of both: what the network reads."""
        normal = None if images is None else (images.permute(0, 3, 1, 2).float() - self.mean) / self.std
        known = torch.empty(1, 0) if metadata is None else metadata
        if normal is None or not self.dihedral:
            logits: Tensor = self.network(normal, known)[:, 0]
            return logits
        flipped = [normal, normal.flip(2), normal.flip(3), normal.flip(2, 3)]
        views = flipped + [view.transpose(2, 3) for view in flipped]
        of_views: Tensor = self.network(torch.cat(views), known.repeat(len(views), 1))[:, 0]
        return of_views.view(len(views), -1).mean(dim=0)


def to_onnx(trained: TrainedNetwork, examples: Examples, name: str) -> bytes:
    """Return a trained network as an ONNX model in float32, whose batches can have any size.

    `examples` are at least two images of the study, on which the logits of the model are compared with those of torch.
    Raises InputError if the network cannot be exported, or if a logit differs by more than TOLERANCE.
    """
    predictor = _exact(trained, examples.metadata.shape[1])
    network = predictor.network
    batch = PredictionBatches(examples, len(examples.rows), NO_TTA, predictor.recipe)[0]
    inputs = {"images": batch.images} if isinstance(batch.images, Tensor) else {}
    inputs |= {} if network.metadata is None else {"metadata": batch.metadata}
    with torch.no_grad():
        device: DeviceBatch = to_device(batch, torch.device("cpu"))
        expected = network(device.images, device.metadata)[:, 0].numpy()
    return _checked(FromPixels(network), inputs, expected, name)


def probe_to_onnx(
    frozen: TrainedNetwork, probe: Linear, columns: NDArray[np.float64], examples: Examples, name: str
) -> bytes:
    """Return a linear probe as one ONNX model: the eight views, the network `frozen` and the logistic regression.

    `examples` are as in `to_onnx`, and `columns` (n, columns) the metadata of their images that the probe reads. The
    logits are compared with those of the probe.
    """
    predictor = _exact(frozen, examples.metadata.shape[1])
    _, embeddings = predictor.predict(examples, VIEWS)
    assert embeddings is not None
    expected = probe.log_odds(np.concatenate([embeddings, columns], axis=1))
    batch = PredictionBatches(examples, len(examples.rows), NO_TTA, predictor.recipe)[0]
    assert isinstance(batch.images, Tensor)
    inputs = {"images": batch.images}
    inputs |= {"metadata": torch.from_numpy(columns.astype(np.float32))} if columns.shape[1] else {}
    network = probe_network(predictor.network, probe, columns.shape[1])
    return _checked(FromPixels(network, dihedral=True), inputs, expected, name)


def about_run(trained: TrainedNetwork, model: str) -> OnnxRun:
    """Return what bundle.json says about a training of a network, whose ONNX model has the path `model`."""
    recipe = Recipe.model_validate(trained["recipe"])
    columns = MetadataEncoder.from_dict(trained["encoder"]).names if recipe.metadata_inputs else []
    return OnnxRun(model=model, columns=columns, encoder=trained["encoder"], logarithms={})


def about_probe_run(encoder: InputEncoder, model: str) -> OnnxRun:
    """Return the same about a training of a linear probe."""
    logarithms = encoder.logarithms
    return OnnxRun(model=model, columns=encoder.names, encoder=encoder.metadata.to_dict(), logarithms=logarithms)


def _exact(trained: TrainedNetwork, columns: int) -> Predictor:
    """Return the predictor of a network in float32 on the CPU."""
    exact: TrainedNetwork = {**trained, "recipe": {**trained["recipe"], "precision": "float32"}}
    predictor = restored(exact, columns, torch.device("cpu"), Prefetch(0, pinned=False), Processes())
    predictor.network.eval()
    return predictor


def _checked(model: FromPixels, inputs: dict[str, Tensor], expected: NDArray[np.floating], name: str) -> bytes:
    """Return a model as ONNX. Raises InputError if it cannot be exported or has other logits than `expected`."""
    try:
        data = _exported(model.eval(), inputs)
    except Exception as error:  # The exporter raises exceptions of any kind.
        raise InputError(f"{name} cannot be exported to ONNX ({error}). Make the bundle without --onnx") from error
    _require_parity(_logits(data, inputs), expected, name)
    return data


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


def _require_parity(logits: NDArray[np.float32], expected: NDArray[np.floating], name: str) -> None:
    difference = float(np.abs(logits - expected).max())
    if not difference <= TOLERANCE:
        raise InputError(
            f"{name}: the logits of the ONNX model differ from those of torch by up to {difference:.2g}; expected at"
            f" most {TOLERANCE:g}. Make the bundle without --onnx"
        )
