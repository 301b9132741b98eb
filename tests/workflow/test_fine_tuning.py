"""A network with real ImageNet weights, fine-tuned on real images, beats the same network from random weights."""

import pandas as pd
import pytest
from lite_weights import write_lite_weights

import quick
from melanoma.common.files import write_yaml
from melanoma.config.data import Images
from melanoma.config.facts import training_recipe
from melanoma.config.recipe import Recipe
from melanoma.images.shards import write_shard
from real_data import real_data

SIZE, IMAGES, FOLDS = 112, 150, 3
RECIPE = {
    "network": "timm/tf_efficientnet_lite0",
    "epochs": 2,
    "batch_size": 15,
    "optimizer": {"name": "adamw", "learning_rate": 1e-3},
    "sampling": {"name": "none"},
    "augmentation": {"flip_horizontal": 0.5, "flip_vertical": 0.5},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Write the store and the table of some real images: as many melanomas as others, no patient in both parts."""
    subset = real_data("isic2020-subset")
    rows = pd.read_csv(subset / "train.csv").drop_duplicates("patient_id").sort_values("image_name")
    rows = pd.concat(group.head(IMAGES // 2) for _, group in rows.groupby("target"))
    rows = rows.reset_index(drop=True)
    rows["file"] = [str(subset / "jpeg" / "train" / f"{image}.jpg") for image in rows["image_name"]]
    folder = tmp_path_factory.mktemp("fine_tuning")
    write_shard(folder / "images.h5", rows.rename(columns={"image_name": "image"}), Images(size=SIZE), 1)
    table = pd.DataFrame(
        {
            "row": rows.index,
            "image": rows["image_name"],
            "patient": rows["patient_id"],
            "age": rows["age_approx"],
            "sex": rows["sex"],
            "site": rows["anatom_site_general_challenge"],
            "diagnosis": rows["diagnosis"],
            "source": "isic2020",
            "target": rows["target"],
            "fold": (rows.index % FOLDS).astype("int8"),
        }
    )
    table.to_parquet(folder / "train.parquet")
    return folder


def validation_auroc(study, name, backbone):
    """Train by the script, as the workflow does, and return the AUROC after the last epoch."""
    write_yaml(study / f"{name}.yaml", training_recipe(Recipe.model_validate(RECIPE | {"backbone": backbone})))
    quick.run(
        *("train", "--recipe", study / f"{name}.yaml", "--train", study / "train.parquet", "--fold", 0),
        *("--images", study / "images.h5", "--resume", study / "resume", "--history", study / f"{name}.csv"),
    )
    return pd.read_csv(study / f"{name}.csv")["validation_auroc"].iloc[-1]


@pytest.mark.large
@pytest.mark.real_data
def test_imagenet_weights_are_a_better_start_than_random_ones(study):
    write_lite_weights(0, study / "weights.pth")
    pretrained = validation_auroc(study, "pretrained", {"weights": str(study / "weights.pth")})
    random = validation_auroc(study, "random", {"pretrained": False})
    assert pretrained > 0.7 and pretrained > random + 0.1
