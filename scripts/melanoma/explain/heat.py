"""Maps of heat: how much each place of an image raises the network's logit of melanoma."""

from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from melanoma.augment.tta import NO_TTA
from melanoma.explain.spatial_layer import spatial_layer
from melanoma.training.loader import Examples, PredictionBatches, to_device
from melanoma.training.predictor import Predictor

GRAD_CAM, GRADIENTS = "Grad-CAM", "integrated gradients"
SIDE = 224  # of a map and of the image under it, in pixels
IMAGES_AT_ONCE = 4
# Steps from the mean color to the image, and the width of the blur as a share of the side.
STEPS, BLUR = 16, 1 / 32


class Heat(NamedTuple):
    """Maps (n, SIDE, SIDE) uint8, 0 for no evidence of melanoma and 255 for the most in the image; and their method."""

    maps: NDArray[np.uint8]
    method: str


def explain(predictor: Predictor, examples: Examples) -> Heat:
    """Return the maps of all examples, without test-time augmentation.

    The method is Grad-CAM (Selvaraju et al., ICCV 2017) if the network has a feature map, and otherwise the integrated
    gradients of the pixels from the mean color to the image (Sundararajan, Taly and Yan, ICML 2017). Raises ValueError
    if the network reads no images.
    """
    network = predictor.network.eval()
    if network.image is None:
        raise ValueError("only a network that reads images has maps")
    batches = PredictionBatches(examples, IMAGES_AT_ONCE, NO_TTA, predictor.recipe)
    maps, method = [], GRAD_CAM
    layer: nn.Module | None = None
    for number in range(len(batches)):
        inputs = to_device(batches[number], predictor.device)
        assert inputs.images is not None
        if number == 0:
            layer = spatial_layer(network, inputs.images[:1], inputs.metadata[:1])
            method = GRADIENTS if layer is None else GRAD_CAM
        if layer is None:
            heat = _integrated_gradients(network, inputs.images, inputs.metadata)
        else:
            heat = _grad_cam(network, layer, inputs.images, inputs.metadata)
        maps += [_scaled(one) for one in heat.detach().float().cpu().numpy()]
    return Heat(np.array(maps, np.uint8).reshape(-1, SIDE, SIDE), method)


def _grad_cam(network: nn.Module, layer: nn.Module, images: Tensor, metadata: Tensor) -> Tensor:
    """Return what the positions of a layer add to the logit, without negative values, (n, h, w)."""
    from captum.attr import LayerGradCam  # not loaded by a command that explains nothing: it takes a second

    heat: Tensor = LayerGradCam(network, layer).attribute(images, 0, metadata, relu_attributions=True)
    return heat[:, 0]


def _integrated_gradients(network: nn.Module, images: Tensor, metadata: Tensor) -> Tensor:
    """Return what the pixels add to the logit, without negative values, (n, side, side), blurred."""
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(network)
    with torch.enable_grad():
        added = method.attribute(
            images, target=0, additional_forward_args=metadata, n_steps=STEPS, internal_batch_size=IMAGES_AT_ONCE
        )
    width = max(images.shape[-1] * BLUR, 1.0)
    positive = added.sum(dim=1).clamp(min=0).detach().float().cpu().numpy()
    return torch.from_numpy(np.stack([cv2.GaussianBlur(one, (0, 0), width) for one in positive]))


def _scaled(heat: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return a map, (h, w) and not negative, as uint8 (SIDE, SIDE) whose maximum is 255."""
    large = cv2.resize(heat, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    highest = float(large.max())
    return np.rint(large * (255 / highest)).astype(np.uint8) if highest > 0 else np.zeros((SIDE, SIDE), np.uint8)
