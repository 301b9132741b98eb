"""A bundle is not made of a model that it could not use."""

import pytest

from melanoma.bundle.pack import pack
from melanoma.common.errors import InputError
from melanoma.common.files import write_json


def test_a_linear_probe_is_refused_because_a_bundle_would_lack_its_network(tmp_path):
    write_json(tmp_path / "train/probe/model.json", {"runs": {}, "backbone": {}})
    with pytest.raises(InputError, match="probe is a linear probe"):
        pack(tmp_path, "probe", tmp_path / "bundle")
