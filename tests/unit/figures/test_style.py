"""Equal data give equal figures, byte for byte."""

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from finished_study import draw
from melanoma.common.errors import InputError
from melanoma.figures.style import save

PARTS = {
    "evaluation": {"roc.svg", "precision_recall.svg", "folds.svg", "decision.svg", "reliability.svg"},
    "training": {"learning_curves.svg", "schedules.svg", "sampling.svg"},
    "data": {"class_balance.svg", "samples.png"},
}


LARGE = pytest.mark.large


@pytest.mark.parametrize(
    "part", [pytest.param("evaluation", marks=LARGE), pytest.param("training", marks=LARGE), "data"]
)
def test_equal_data_give_equal_bytes_without_a_date(study: Path, tmp_path: Path, part: str) -> None:
    drawings = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        draw(study, part, folder)
        drawings.append({path.name: path.read_bytes() for path in folder.glob("[!.]*")})
    beside = {f"{Path(name).stem}.{kind}" for name in PARTS[part] if name.endswith("svg") for kind in ("png", "pdf")}
    assert drawings[0] == drawings[1] and set(drawings[0]) == PARTS[part] | beside
    starts = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
    for name, content in drawings[0].items():
        assert content.startswith(starts[Path(name).suffix])
        assert b"<dc:date>" not in content and b"CreationDate" not in content


def test_a_figure_of_another_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.svg or \.png"):
        save(Figure(), tmp_path / "schedules.gif")
