"""The inputs of metadata models are encoded by training rows only, with columns for missing values."""

import numpy as np
import pandas as pd
import pytest

import list_sizes as sizes
import tiny
from melanoma.common.errors import InputError
from melanoma.data.metadata_columns import InputEncoder, require_inputs
from melanoma.predictions.patient_context import count_images
from melanoma.split.leakage import check_encoder

ALL = ["age", "sex", "site", "images_per_patient", "size"]


def rows(count: int = 60) -> pd.DataFrame:
    table = tiny.table(count).assign(width=np.where(np.arange(count) % 3, 6000, 640), height=480)
    return count_images(table, table.iloc[:0])[0]


def test_columns_are_those_of_the_inputs_asked_for() -> None:
    table = rows()
    sites = [f"site={name}" for name in ("head/neck", "torso", "missing")]
    assert InputEncoder.fit(table, ["site"]).names == sites
    wanted = ["age", "age missing", "width", "width missing", "height", "height missing"]
    assert InputEncoder.fit(table, ["size", "age"]).names == wanted
    for inputs in (["sex"], ["images_per_patient"], ALL):
        encoder = InputEncoder.fit(table, inputs)
        assert encoder.transform(table).shape == (len(table), len(encoder.names))


def test_sizes_and_counts_are_logarithms_in_training_deviations() -> None:
    table = rows()
    width = InputEncoder.fit(table, ["size"]).transform(table)[:, 0]
    assert width.mean() == pytest.approx(0, abs=1e-12) and width.std() == pytest.approx(1)
    tenfold = InputEncoder.fit(table, ["size"]).transform(table.assign(width=table["width"] * 10))[:, 0]
    np.testing.assert_allclose(tenfold - width, np.log(10) / np.log(table["width"]).std(ddof=0))


def test_an_unknown_size_is_a_level_of_its_own_at_the_mean() -> None:
    table = rows()
    encoded = InputEncoder.fit(table, ["size"]).transform(table.assign(width=0))
    assert (encoded[:, 0] == 0).all() and (encoded[:, 1] == 1).all() and (encoded[:, 3] == 0).all()


def test_a_model_of_sizes_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InputError, match=r"no training image has a width.*leave size out"):
        InputEncoder.fit(rows().assign(width=0), ["size"])


def test_images_are_counted_over_all_of_a_patients_rows() -> None:
    train = pd.DataFrame({"patient": ["a", "a", "b"]})
    test = pd.DataFrame({"patient": ["a", "c"]})
    counted = count_images(train, test)
    assert [table["images_per_patient"].tolist() for table in counted] == [[3, 3, 1], [3, 1]]


def test_the_gate_knows_an_encoder_that_saw_the_test() -> None:
    table = rows()
    train, test = table.iloc[:40], table.iloc[40:]

    def learn(part: pd.DataFrame) -> dict:
        return InputEncoder.fit(part, ALL).to_dict()

    assert check_encoder(learn(train), train, {"test": test}, "model", learn) == []
    (finding,) = check_encoder(learn(table), train, {"test": test}, "model", learn)
    assert finding["kind"] == "encoder fitted on more than train" and finding["images"] == sorted(test["image"])


def test_a_study_without_images_takes_sizes_from_its_table_and_0_for_unknown() -> None:
    catalog = pd.DataFrame({"image": ["a", "b"], "width": [640.0, np.nan], "height": [480.0, np.nan]})
    quality = sizes.quality_table(catalog)
    assert quality["readable"].all() and quality["width"].tolist() == [640, 0]
    assert quality["sha256"].isna().all()


def test_an_input_that_no_row_has_stops_the_model() -> None:
    table = rows().assign(site=None)
    require_inputs(table, ["age", "sex"], "m")
    with pytest.raises(InputError, match=r"m: no training image has site, an input of the model.*leave it out"):
        require_inputs(table, ["age", "site"], "m")
