"""A file of features is read as it was written, or refused."""

import numpy as np
import pytest

import tiny
from melanoma.common.errors import InputError
from melanoma.models.embeddings import Embeddings

NETWORK = {"recipe": {"network": "resnest50"}, "weights_sha256": "", "images": {"size": 32}}


@pytest.fixture
def embeddings():
    rows = tiny.table(6)
    return Embeddings(rows["image"].tolist(), np.arange(12, dtype=np.float32).reshape(6, 2), NETWORK)


def test_a_file_holds_all(tmp_path, embeddings):
    embeddings.write(tmp_path / "features.npz")
    read = Embeddings.read(tmp_path / "features.npz")
    assert read.images == embeddings.images and read.network == NETWORK
    np.testing.assert_array_equal(read.values, embeddings.values)


def test_equal_features_are_equal_files(tmp_path, embeddings):
    for name in ("one.npz", "two.npz"):
        embeddings.write(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_a_damaged_file_is_refused(tmp_path, embeddings):
    path = tmp_path / "features.npz"
    embeddings.write(path)
    content = bytearray(path.read_bytes())
    position = content.index(np.float32(11).tobytes())
    content[position + 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"features\.npz.*not what the workflow wrote"):
        Embeddings.read(path)


def test_each_row_gets_the_features_of_its_image(embeddings):
    joined = embeddings.join(tiny.table(6).iloc[[4, 1]])
    assert [values.tolist() for values in joined["embedding"]] == [[8, 9], [2, 3]]


@pytest.mark.parametrize("change", [{"image": "another"}, {"row": 6}])
def test_a_table_of_another_store_is_refused(embeddings, change):
    with pytest.raises(InputError, match="other images than the table"):
        embeddings.join(tiny.table(6).assign(**change))
