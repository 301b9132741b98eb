"""The study files of published systems have the published options: each value with the words of the source."""

from functools import reduce
from typing import Any

import pytest
import yaml
from snakemake.utils import update_config

from melanoma.config.study import Study, resolve
from project import ROOT

CNN, RESNEST = "models.s1_cnn", "models.s1_resnest269"
S1 = {
    "images.size": (512, "centre-cropped or resized (cv2) to 512x512"),
    "images.fit": ("center_crop", "centre-cropped or resized (cv2) to 512x512"),
    "split.method": ("sequential", "the split was in file order"),
    "split.test_fraction": (0.2, "80/20 train/test"),
    "split.folds": (5, "validation is a further 20 % of train"),
    "split.run_folds": ((4,), "validation is a further 20 % of train"),
    "predict.test": ("refit", "retrain on the whole of train for a fixed number of epochs; predict test once"),
    "fusions.s1_mean.members": (("s1_cnn", "s1_resnest269"), "CNN + 269, mean"),
    "fusions.s1_mean.prior_correction": (False, "CNN + 269, mean, of the probabilities as they are"),
    "fusions.s1_rank_mean.members": (("s1_cnn", "s1_resnest269"), "CNN + 269, rank mean"),
    f"{CNN}.baseline_cnn.channels": ((6, 15, 30, 60, 80, 100), "conv channels 6-15-30-60-80-100"),
    f"{CNN}.baseline_cnn.kernels": ((7, 7, 7, 5, 5, 5), "kernels 7, 7, 7, 5, 5, 5"),
    f"{CNN}.baseline_cnn.padding": ("valid", "no padding"),
    f"{CNN}.baseline_cnn.stride": (1, "512 -> 253"),
    f"{CNN}.baseline_cnn.pooling": ("flatten", "flatten 900 -> 512 -> 512"),
    f"{CNN}.baseline_cnn.hidden": ((512, 512), "flatten 900 -> 512 -> 512"),
    f"{CNN}.input_size": (None, "512 -> 253"),
    f"{CNN}.epochs": (11, "batch 20, 11 epochs"),
    f"{CNN}.optimizer.learning_rate": (1e-3, "Adam 1e-3"),
    f"{CNN}.optimizer.weight_decay": (0.01, "weight decay .01"),
    f"{CNN}.optimizer.groups": ((), "Adam 1e-3"),
    f"{CNN}.schedule.gamma": (0.5, "StepLR x.5 per epoch"),
    f"{CNN}.augmentation.crop.scale": ((1.0, 1.0), "416x416 random resized crop: of network B alone"),
    f"{RESNEST}.network": ("resnest269", "image net B, resnest269"),
    f"{RESNEST}.weights_file": ("data/weights/resnest269-0cc87c48.pth", "ImageNet weights; resnest269-0cc87c48.pth"),
    f"{RESNEST}.backbone.features": ("classes", "its 1000-way output kept as the image features"),
    f"{RESNEST}.input_size": (416, "416x416 random resized crop (scale .8-1) of the 512 image"),
    f"{RESNEST}.augmentation.crop.scale": ((0.8, 1.0), "416x416 random resized crop (scale .8-1) of the 512 image"),
    f"{RESNEST}.augmentation.crop.ratio": ((0.75, 1.3333), "aspect ratios from 3/4 to 4/3"),
    f"{RESNEST}.tta.frame": ("full_size", "At test the ResNeSt saw the full 512 (notebook)"),
    f"{RESNEST}.epochs": (12, "batch 20, 12 epochs"),
    f"{RESNEST}.optimizer.learning_rate": (1e-3, "new layers 1e-3"),
    f"{RESNEST}.optimizer.groups.0.match": ("^image", "backbone 3e-5"),
    f"{RESNEST}.optimizer.groups.0.learning_rate": (3e-5, "backbone 3e-5"),
    f"{RESNEST}.schedule.gamma": (0.1, "StepLR x.1 per epoch"),
} | {
    f"{model}.{option}": value
    for model in (CNN, RESNEST)
    for option, value in {
        "head": ("image_and_metadata", "Both published S1 networks are joint"),
        "head_hidden": ((), "concatenate image and metadata features, one Linear to one logit"),
        "metadata.widths": ((256,), "Linear(7,256), BN, ReLU, Dropout .2"),
        "metadata.dropout": (0.2, "Linear(7,256), BN, ReLU, Dropout .2"),
        "dropout": (0.0, "one Linear to one logit"),
        "monitor": ("last", "the last epoch of a fixed number on all of train, no epoch chosen"),
        "early_stopping_patience": (None, "no epoch chosen"),
        "loss.name": ("bce", "binary cross entropy"),
        "loss.label_smoothing": (0.0, "binary cross entropy"),
        "optimizer.name": ("adam", "Adam"),
        "schedule.name": ("step", "StepLR"),
        "schedule.step_size": (1, "per epoch"),
        "schedule.warmup_epochs": (0.0, "StepLR"),
        "batch_size": (20, "batch 20"),
        "sampling.name": ("oversample", "random over-sampling to 1:1; one epoch = 2 x number of benign images"),
        "sampling.ratio": (1.0, "random over-sampling to 1:1"),
        "checkpoint_batches": (500, "every 500 batches"),
        "tta.name": ("none", "the full 512 (notebook) or a 416 centre crop (thesis text)"),
        "augmentation.flip_vertical": (0.5, "vertical and horizontal flip p .5"),
        "augmentation.flip_horizontal": (0.5, "vertical and horizontal flip p .5"),
        "augmentation.hue_saturation_value.probability": (0.5, "hue/sat/value shift (5,10,5) p .5"),
        "augmentation.hue_saturation_value.hue": (10.0, "hue shift 5, in OpenCV's steps of 2 degrees"),
        "augmentation.hue_saturation_value.saturation": (0.129, "a factor of 1 +- .129"),
        "augmentation.hue_saturation_value.value": (0.02, "value shift 5 of 255"),
        "augmentation.pca.probability": (0.2, "FancyPCA .1 p .2"),
        "augmentation.pca.sigma": (0.1, "FancyPCA .1 p .2"),
        "augmentation.noise.probability": (0.2, "Gaussian noise variance 5-15 p .2"),
        "augmentation.noise.variance": ((5.0, 15.0), "Gaussian noise variance 5-15 p .2"),
        "augmentation.affine.probability": (0.5, "shift .25, scale .25, rotate 30 degrees p .5"),
        "augmentation.affine.shift": (0.25, "shift .25, scale .25, rotate 30 degrees p .5"),
        "augmentation.affine.zoom": (0.25, "shift .25, scale .25, rotate 30 degrees p .5"),
        "augmentation.affine.rotate": (30.0, "shift .25, scale .25, rotate 30 degrees p .5"),
        "augmentation.affine.shear": (0.0, "shift .25, scale .25, rotate 30 degrees p .5"),
        "augmentation.brightness_contrast.probability": (0.5, "brightness/contrast +-.1 p .5"),
        "augmentation.brightness_contrast.brightness": (0.1, "+-.1 is the plausible intent"),
        "augmentation.brightness_contrast.contrast": (0.1, "+-.1 is the plausible intent"),
        "augmentation.hair.probability": (0.0, "not in the list"),
        "augmentation.blur.probability": (0.0, "not in the list"),
        "augmentation.cutout.probability": (0.0, "not in the list"),
    }.items()
}  # fmt: skip


def study(*names: str) -> Study:
    """The study of several files, as Snakemake merges them."""
    config: dict[str, Any] = {}
    for name in names:
        update_config(config, yaml.safe_load((ROOT / "studies" / f"{name}.yaml").read_text()))
    return resolve(config)


def option(whole: Study, name: str) -> Any:
    """The value at a dotted name."""

    def below(value: Any, part: str) -> Any:
        if isinstance(value, dict):
            return value[part]
        return value[int(part)] if part.isdecimal() else getattr(value, part)

    return reduce(below, name.split("."), whole)


S1_STUDY = study("isic2020", "two_networks", "s1_as_published")


@pytest.mark.parametrize("name", S1)
def test_the_two_network_ensemble_is_as_published(name):
    expected, words = S1[name]
    assert option(S1_STUDY, name) == expected, words


def test_the_two_network_ensemble_is_two_networks_and_two_fusions():
    assert (set(S1_STUDY.models), set(S1_STUDY.fusions)) == ({"s1_cnn", "s1_resnest269"}, {"s1_mean", "s1_rank_mean"})


@pytest.mark.parametrize("name", ["isic2020", "isic2020+two_networks", "isic2020+two_networks+tuned"])
def test_the_two_networks_are_joint_in_every_study_that_has_them(name):
    found = study(*name.split("+"))
    assert {found.models[model].head for model in ("s1_cnn", "s1_resnest269")} == {"image_and_metadata"}
    named = [fusion.members for key, fusion in found.fusions.items() if key.startswith("s1_")]
    assert named == [("s1_cnn", "s1_resnest269")] * 2
    assert all(found.models[key].head == "image_and_metadata" for key in found.models if key.startswith("s1_"))


def test_both_networks_are_tuned_with_their_metadata_network_and_the_hidden_layer_of_their_head():
    for recipe in study("isic2020", "two_networks", "tuned").models.values():
        assert {"metadata.widths", "head_hidden", "optimizer.learning_rate"} <= set(recipe.tune.space)
        assert 10 <= recipe.tune.trials <= 15, "grids of 10 to 15 settings"
