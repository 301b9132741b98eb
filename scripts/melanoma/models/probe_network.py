"""A linear probe as one network: the frozen network, and its logistic regression as the last layer."""

import torch
from torch import Tensor

from melanoma.models.classifier import Classifier
from melanoma.models.layers import FeatureNetwork
from melanoma.models.plain_classifiers import Linear


class Columns(FeatureNetwork):
    """Columns (n, width) as they are."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, columns: Tensor) -> Tensor:
        """Return the `columns`."""
        return columns


def probe_network(frozen: Classifier, probe: Linear, columns: int) -> Classifier:
    """Return the network that gives the logits of `probe`, whose features are those of the network `frozen`.

    It reads images and so many `columns` of metadata, in the order of the probe. The logit of the mean features of
    several views is the mean of their logits. Without its columns, a probe has another logit of an image, but the same
    gradient. Raises ValueError if the network reads no images.
    """
    if frozen.image is None:
        raise ValueError("a linear probe reads the features of images")
    weight = probe.coefficients / probe.deviations
    intercept = probe.intercept - probe.means @ weight
    metadata = Columns(columns) if columns else None
    network = Classifier(frozen.image, metadata, outputs=1, dropout=0.0, samples=1)
    with torch.no_grad():
        network.last.weight.copy_(torch.from_numpy(weight[None, : network.last.in_features]))
        network.last.bias.fill_(float(intercept))
    return network.to(next(frozen.parameters()).device).eval()
