"""The work of published networks, counted by torch on tensors that hold no numbers. Only counting imports torch."""

from typing import Any

from melanoma.errors import InputError

MEGAPIXEL = 1e6


def count(network: str, size: int) -> dict[str, float]:
    """Return `gflops` of a forward pass for a million pixels, 2 for a multiply and add, and `parameters` in millions.

    `network` is a name as in a recipe: resnest50, efficientnet_b0, timm/NAME. Counted for one image of side `size` in
    pixels. Raises InputError where no library has the network.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = _build(network).eval()
        model(torch.empty(1, 3, size, size))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"gflops": counter.get_total_flops() / 1e9 / (size**2 / MEGAPIXEL), "parameters": parameters / 1e6}


def _build(network: str) -> Any:
    if network.startswith("timm/"):
        import timm

        name = network.removeprefix("timm/")
        if not timm.is_model(name):
            raise InputError(f"timm has no network {name!r}")
        return timm.create_model(name)
    if network.startswith("resnest"):
        import resnest.torch

        return getattr(resnest.torch, network)(pretrained=False)
    import torchvision

    return torchvision.models.get_model(network)
