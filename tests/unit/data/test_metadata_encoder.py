"""Metadata as numbers: missing and unseen values have columns of their own."""

import numpy as np
import pandas as pd

from melanoma.data.metadata_encoder import MetadataEncoder


def test_missing_and_unseen_values_have_columns_of_their_own():
    encoder = MetadataEncoder.fit(
        pd.DataFrame({"age": [40.0, 60.0], "sex": ["male", "female"], "site": ["torso", "torso"]})
    )
    rows = pd.DataFrame({"age": [50.0, np.nan], "sex": ["male", None], "site": ["head/neck", "torso"]})
    values = pd.DataFrame(encoder.transform(rows), columns=encoder.names)
    assert values["age"].tolist() == [0, 0] and values["age missing"].tolist() == [0, 1]
    assert values["sex=male"].tolist() == [1, 0] and values["sex=missing"].tolist() == [0, 1]
    assert values["site=torso"].tolist() == [0, 1] and values["site=missing"].tolist() == [1, 0]
