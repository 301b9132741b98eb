"""Which columns a bundle reads, and what it says about an image without them."""

import pandas as pd
import pytest

from melanoma.bundle.columns import without_values
from melanoma.bundle.model import BundledModel
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_columns import InputEncoder
from melanoma.fusion.saved_fusion import Fusion
from melanoma.fusion.stacking import Stack
from melanoma.models.tabular import Fitted, MetadataModel

TABLE = pd.DataFrame({"age": [40.0, None, 60.0], "sex": ["male", "female", None], "site": "torso"})
TABLE = TABLE.assign(images_per_patient=1)


def bundle(inputs, fusions=None):
    recipe = Recipe.model_validate({"network": "naive_bayes", "inputs": inputs})
    fitted = Fitted(InputEncoder.fit(TABLE, inputs), None, 0.5)
    return BundledModel({}, {}, {"bayes": MetadataModel(recipe, ["refit"], {"refit": fitted})}, fusions or {}, {})


def test_each_column_that_is_read_has_what_no_value_counts_as():
    without = without_values(bundle(["age", "sex", "site"]), TABLE)
    assert without["age"].startswith("the mean age of the training images, 50 years")
    assert without["age"].endswith(". 1 of 3 training images are without it")
    assert "the category missing" in without["sex"]
    assert without["site"].endswith("No training image is without it, so the models have not learned this case")


def test_the_mean_age_is_that_of_the_models_that_read_it():
    old = InputEncoder.fit(TABLE.assign(age=90.0), ["sex"])
    fusions = {"both": Fusion("logistic", ["bayes"], combination=Stack(("logit bayes",), old, None))}
    assert "50 years" in without_values(bundle(["age"], fusions), TABLE)["age"]


@pytest.mark.parametrize(
    ("inputs", "columns"), [(["sex"], ["sex"]), (["images_per_patient", "age"], ["age", "patient"])]
)
def test_a_column_that_no_model_reads_is_left_out(inputs, columns):
    assert list(without_values(bundle(inputs), TABLE)) == columns


def test_a_fusion_reads_its_own_columns_and_with_context_the_patient():
    stack = Stack(("logit bayes",), InputEncoder.fit(TABLE, ["site"]), None)
    fusions = {"both": Fusion("logistic", ["bayes"], context=True, combination=stack)}
    assert bundle(["age"], fusions).columns_read == ["age", "site", "patient"]
    assert without_values(bundle(["age"], fusions), TABLE)["patient"] == "the only image of its patient"
