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

WEIGHTS = {
    "efficientnet_b2": "efficientnet_b2_rwightman-c35c1473",
    "efficientnet_b4": "efficientnet_b4_rwightman-23ab8bcd",
    "efficientnet_b6": "efficientnet_b6_lukemelas-24a108a5",
}
S0_NETWORKS = {
    f"s0_{network}_{size}": (network, size, f"data/weights/{weights}.pth")
    for network, weights in WEIGHTS.items()
    for size in (384, 512)
}
S0_METADATA = ("s0_logistic", "s0_forest", "s0_bayes")
S0 = {
    "data.sources.1.name": ("isic2018", "ISIC 2018 images added to train"),
    "data.sources.1.role": ("extra_train", "ISIC 2018 images added to train"),
    "images.size": (512, "at 384 and 512"),
    "split.method": ("predefined", "three folds on the tfrecord shards"),
    "split.predefined.column": ("tfrecord", "three folds on the tfrecord shards"),
    "split.folds": (3, "K folds (3 in the run)"),
    "split.run_folds": ((0, 1, 2), "every image predicted once out of fold"),
    "predict.test": ("fold_mean", "mean over folds of the TTA means"),
    "models.s0_forest.network": ("random_forest", "random forest (1000 trees, depth 2, balanced)"),
    "models.s0_forest.random_forest.n_estimators": (1000, "random forest (1000 trees, depth 2, balanced)"),
    "models.s0_forest.random_forest.max_depth": (2, "random forest (1000 trees, depth 2, balanced)"),
    "models.s0_logistic.network": ("logistic_regression", "logistic regression (l2, balanced)"),
    "models.s0_bayes.network": ("naive_bayes", "Gaussian naive Bayes"),
    "fusions.s0_metadata.method": ("mean", "mean of logistic regression, random forest and naive Bayes"),
    "fusions.s0_metadata.members": (S0_METADATA, "mean of logistic regression, random forest and naive Bayes"),
    "fusions.s0_metadata.prior_correction": (False, "mean of the probabilities as they are"),
    "fusions.s0_ensemble.method": ("weighted", "six image models x .15 + metadata x .1"),
    "fusions.s0_ensemble.prior_correction": (False, "six image models x .15 + metadata x .1"),
    "models.s0_efficientnet_b2_384_1cycle.schedule.name": ("1cycle", "also named: the 1cycle policy"),
    "models.s0_efficientnet_b2_384_1cycle.schedule.per": ("batch", "also named: the 1cycle policy"),
} | {
    f"models.{model}.inputs": (("age", "sex", "site"), "on age, sex, site") for model in S0_METADATA
} | {
    f"models.{model}.{option}": value
    for model, (network, size, weights) in S0_NETWORKS.items()
    for option, value in {
        "network": (network, "EfficientNet B2, B4, B6"),
        "weights_file": (weights, "(ImageNet)"),
        "input_size": (size, "at 384 and 512"),
        "head": ("image_only", "one logit"),
        "head_hidden": ((), "global average pooling, one logit"),
        "backbone.features": ("pooled", "global average pooling, one logit"),
        "backbone.pooling": ("average", "global average pooling, one logit"),
        "epochs": (10, "10 epochs"),
        "monitor": ("loss", "best epoch by validation loss"),
        "early_stopping_patience": (None, "best epoch by validation loss"),
        "batch_size": (256, "batch 256"),
        "loss.name": ("bce", "binary cross entropy with label smoothing .05; class weights tried and dropped"),
        "loss.label_smoothing": (0.05, "binary cross entropy with label smoothing .05"),
        "optimizer.name": ("adam", "Adam"),
        "optimizer.learning_rate": (pytest.approx(3e-6 * 256), "3e-6 x batch"),
        "schedule.name": ("exponential", "then x.3 per epoch to 1e-6"),
        "schedule.gamma": (0.3, "then x.3 per epoch to 1e-6"),
        "schedule.min_lr_factor": (pytest.approx(1e-6 / (3e-6 * 256), rel=0.01), "then x.3 per epoch to 1e-6"),
        "schedule.warmup_epochs": (5.0, "warm-up 5 epochs"),
        "schedule.warmup_start_factor": (pytest.approx(5e-6 / (3e-6 * 256), rel=0.01), "from 5e-6 to 3e-6 x batch"),
        "sampling.name": ("bootstrap", "bootstrap sampling"),
        "augmentation.flip_horizontal": (0.5, "flips"),
        "augmentation.flip_vertical": (0.5, "flips"),
        "augmentation.affine.probability": (1.0, "rotation N(0,180 deg)"),
        "augmentation.affine.distribution": ("normal", "rotation N(0,180 deg)"),
        "augmentation.affine.rotate": (180.0, "rotation N(0,180 deg)"),
        "augmentation.affine.shear": (2.0, "shear N(0,2 deg)"),
        "augmentation.affine.zoom": (0.125, "zoom 1+N(0,1)/8 per axis"),
        "augmentation.affine.zoom_per_axis": (True, "zoom 1+N(0,1)/8 per axis"),
        "augmentation.affine.shift": (pytest.approx(8 / size, rel=0.01), "shift N(0,8 px)"),
        "augmentation.brightness_contrast.probability": (1.0, "brightness +-.2"),
        "augmentation.brightness_contrast.brightness": (0.2, "brightness +-.2"),
        "augmentation.brightness_contrast.contrast": (0.2, "contrast .8-1.2"),
        "augmentation.hue_saturation_value.probability": (1.0, "saturation .7-1.3"),
        "augmentation.hue_saturation_value.saturation": (0.3, "saturation .7-1.3"),
        "augmentation.hue_saturation_value.hue": (0.0, "not in the list"),
        "tta.name": ("random", "mean of 15 random augmentations"),
        "tta.n": (15, "mean of 15 random augmentations"),
        "tta.mean_of": ("probability", "mean of 15 random augmentations"),
        "tta.frame": ("scaled", "at 384 and 512"),
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


def test_the_blank_images_of_the_publication_take_the_place_of_brightness_and_contrast_alone():
    plain, blank = study("isic2020", "two_networks"), study("isic2020", "two_networks", "s1_blank_images")
    for name, recipe in blank.models.items():
        augmentation = recipe.augmentation
        assert (augmentation.blank.probability, augmentation.brightness_contrast.probability) == (0.5, 0)
        replaced = {key: getattr(plain.models[name].augmentation, key) for key in ("blank", "brightness_contrast")}
        restored = recipe.model_copy(update={"augmentation": augmentation.model_copy(update=replaced)})
        assert restored == plain.models[name]


def test_both_networks_are_tuned_with_their_metadata_network_and_the_hidden_layer_of_their_head():
    for recipe in study("isic2020", "two_networks", "tuned").models.values():
        assert {"metadata.widths", "head_hidden", "optimizer.learning_rate"} <= set(recipe.tune.space)
        assert 10 <= recipe.tune.trials <= 15, "grids of 10 to 15 settings"


S0_STUDY = study("isic2020", "s0_as_published")


@pytest.mark.parametrize("name", S0)
def test_the_efficientnet_ensemble_is_as_published(name):
    expected, words = S0[name]
    assert option(S0_STUDY, name) == expected, words


def test_the_efficientnet_ensemble_is_six_networks_and_a_tenth_of_the_metadata_models():
    weights = dict.fromkeys(S0_NETWORKS, 0.15) | dict.fromkeys(S0_METADATA, pytest.approx(0.1 / 3, abs=1e-4))
    assert S0_STUDY.fusions["s0_ensemble"].weights == weights
    assert set(S0_STUDY.models) - set(weights) == {"s0_efficientnet_b2_384_1cycle"}
    assert set(S0_STUDY.fusions) == {"s0_metadata", "s0_ensemble"}
