"""The last layer of a network that still has positions: the layer of Grad-CAM."""

import torch
from torch import Tensor, nn

from melanoma.models.classifier import Classifier

# A map of fewer positions on a side shows little, so an earlier layer is better.
MIN_SIDE = 4


def spatial_layer(network: Classifier, images: Tensor, metadata: Tensor) -> nn.Module | None:
    """Return the last layer whose output is a feature map (n, channels, h, w) with at least MIN_SIDE positions a side.

    If all maps are smaller, it is the last one with several positions. It is None if the network ends in tokens, as a
    transformer does, or reads no images. `images` (n, 3, side, side) and `metadata` (n, columns) are any inputs of the
    network: it computes them once.
    """
    if network.image is None:
        return None
    called: list[tuple[nn.Module, torch.Size]] = []

    def remember(layer: nn.Module, _inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and _positions(output.shape) > 1:
            called.append((layer, output.shape))

    hooks = [layer.register_forward_hook(remember) for layer in network.image.modules()]
    try:
        with torch.no_grad():
            network(images, metadata)
    finally:
        for hook in hooks:
            hook.remove()
    if not called or not _is_map(called[-1][1]):
        return None
    maps = [(layer, shape) for layer, shape in called if _is_map(shape)]
    large = [layer for layer, shape in maps if min(shape[2:]) >= MIN_SIDE]
    return large[-1] if large else maps[-1][0]


def _positions(shape: torch.Size) -> int:
    """Return the number of positions of a map (n, c, h, w) or (n, h, w, c), or of tokens (n, positions, c)."""
    if len(shape) == 4:
        return shape[2] * shape[3] if _is_map(shape) else shape[1] * shape[2]
    return shape[1] if len(shape) == 3 else 1


def _is_map(shape: torch.Size) -> bool:
    """Tell whether the positions are in the last two of four dimensions. The images are square, so the map is."""
    return len(shape) == 4 and shape[2] == shape[3]
