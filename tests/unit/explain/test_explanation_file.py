"""The file of explanations: it gives back what was written, the same bits each time, and names damage."""

import numpy as np
import pytest

from melanoma.common.errors import InputError
from melanoma.explain.explanation_file import About, Case, Explanations, read_explanations


def explanations(count: int) -> Explanations:
    draw = np.random.default_rng(0)
    case = Case(image="i", patient=None, target=1, probability=0.25, kind="missed melanoma")
    importance = {"forest": [{"column": "age", "mean": 0.1, "deviation": 0.01}]}
    about = About(
        model="both",
        rule="youden",
        threshold=0.3,
        methods={"cnn": "Grad-CAM"},
        cases=[case] * count,
        importance=importance,
    )
    maps = {"cnn": draw.integers(0, 256, (count, 224, 224)).astype(np.uint8)}
    return Explanations(draw.integers(0, 256, (count, 224, 224, 3)).astype(np.uint8), maps, about)


@pytest.mark.parametrize("count", [0, 2])
def test_a_file_gives_back_what_was_written(tmp_path, count):
    written = explanations(count)
    for name in ("a.npz", "b.npz"):
        written.write(tmp_path / name)
    found = read_explanations(tmp_path / "a.npz")
    assert found.about == written.about and list(found.maps) == ["cnn"]
    np.testing.assert_array_equal(found.images, written.images)
    np.testing.assert_array_equal(found.maps["cnn"], written.maps["cnn"])
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_damaged_file_is_named(tmp_path):
    explanations(1).write(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_bytes((tmp_path / "a.npz").read_bytes()[:-500])
    with pytest.raises(InputError, match=r"a\.npz: .*SHA-256"):
        read_explanations(tmp_path / "a.npz")
