"""Which file of pretrained weights a recipe starts from."""

from pathlib import PurePath
from typing import Any

from melanoma.config.study import is_backbone, is_trained

FOLDER = "data/weights"
# As their authors publish them; the schema's section fetch has their addresses.
OFFICIAL = {
    "resnest50": "resnest50-528c19ca.pth",
    "resnest101": "resnest101-22405ba7.pth",
    "resnest200": "resnest200-75117900.pth",
    "resnest269": "resnest269-0cc87c48.pth",
    "efficientnet_b0": "efficientnet_b0_rwightman-7f5810bc.pth",
    "efficientnet_b1": "efficientnet_b1_rwightman-bac287d4.pth",
    "efficientnet_b2": "efficientnet_b2_rwightman-c35c1473.pth",
    "efficientnet_b3": "efficientnet_b3_rwightman-b3899882.pth",
    "efficientnet_b4": "efficientnet_b4_rwightman-23ab8bcd.pth",
    "efficientnet_b5": "efficientnet_b5_lukemelas-1a07897c.pth",
    "efficientnet_b6": "efficientnet_b6_lukemelas-24a108a5.pth",
    "efficientnet_b7": "efficientnet_b7_lukemelas-c5b4e57e.pth",
}


def weights_file(recipe: dict[str, Any]) -> str | None:
    """Return the path of the file that the recipe's network starts from; None where it starts from random weights.

    `recipe` is complete, as of `study.resolve` or `study.training_recipe`.
    """
    if not is_backbone(recipe) or not recipe["backbone"]["pretrained"]:
        return None
    return recipe["backbone"]["weights"] or f"{FOLDER}/{OFFICIAL[recipe['network']]}"


def start_of(recipe: dict[str, Any]) -> str:
    """Say what weights the recipe's network starts from, for the report; empty for what we do not train by epochs."""
    if not is_trained(recipe):
        return ""
    file = weights_file(recipe)
    return "random weights" if file is None else f"pretrained weights {PurePath(file).name}"
