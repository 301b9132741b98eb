"""Equal data give equal figures, byte for byte."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from finished_study import draw
from melanoma.common.errors import InputError
from melanoma.report.style import save

PARTS = {
    "evaluation": {"roc.svg", "precision_recall.svg", "folds.svg", "decision.svg", "reliability.svg"},
    "training": {"learning_curves.svg", "schedules.svg", "sampling.svg"},
    "data": {"class_balance.svg", "samples.png"},
}


@pytest.mark.parametrize("part", PARTS)
def test_equal_data_give_equal_bytes_without_a_date(study: Path, tmp_path: Path, part: str) -> None:
    drawings = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        draw(study, part, folder)
        drawings.append({path.name: path.read_bytes() for path in folder.glob("[!.]*")})
    assert drawings[0] == drawings[1] and set(drawings[0]) == PARTS[part]
    for name, content in drawings[0].items():
        assert content.startswith(b"\x89PNG" if name.endswith("png") else b"<?xml")
        assert b"<dc:date>" not in content


def test_a_figure_of_another_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.svg or \.png"):
        save(Figure(), tmp_path / "schedules.gif")
