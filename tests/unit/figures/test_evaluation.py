"""Curves of the evaluation show each model, and the intervals of the selected model."""

from pathlib import Path

from melanoma.common.files import read_json
from melanoma.figures.evaluation import decision, folds, precision_recall, reliability, robustness, roc
from melanoma.figures.style import save


def test_the_roc_legend_holds_the_auroc_with_its_interval(study: Path) -> None:
    metrics = read_json(study / "metrics.json")
    figure = roc(read_json(study / "curves.json"), metrics, "cnn")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    auroc = metrics["cnn"]["auroc"]
    assert labels[0] == f"cnn  {auroc['value']:.4f} [{auroc['low']:.4f}, {auroc['high']:.4f}]"
    assert labels[-1] == "chance  0.5000"


def test_calibrated_probabilities_have_a_panel_if_a_calibrator_was_fitted(study: Path) -> None:
    entries = read_json(study / "calibration.json")
    panels = ["Before calibration", "After calibration"]
    assert [axes.get_title("left") for axes in reliability(entries, "cnn").axes] == panels
    raw = {name: {"reliability": {"raw": entry["reliability"]["raw"]}} for name, entry in entries.items()}
    assert [axes.get_title("left") for axes in reliability(raw, "cnn").axes] == panels[:1]


def test_bars_are_the_intervals_of_the_selected_model_alone(study: Path) -> None:
    entries, curves, metrics = (read_json(study / f"{name}.json") for name in ("calibration", "curves", "metrics"))
    net_benefit = metrics["cnn"]["calibrated"]["net_benefit"].values()
    intervals = [[each["low"], each["high"]] for each in net_benefit if each["low"] is not None]
    (bars,) = decision(curves, metrics, "cnn").axes[0].collections
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == intervals
    assert len(entries) > 1 and [len(axes.collections) for axes in reliability(entries, "cnn").axes] == [1, 1]


def test_the_folds_of_the_selected_model_stand_beside_all_of_them_pooled(study: Path) -> None:
    curves = read_json(study / "curves.json")
    figure = folds(curves, "cnn")
    known = curves["cnn"]["validation"]
    names = ["all folds", *(f"fold {fold}" for fold in known["folds"])]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*names, "chance"] and len(names) > 2
    pooled = figure.axes[0].lines[0].get_xdata()
    assert pooled.tolist() == known["pooled"]["roc"]["false_positive_rate"]
    del curves["cnn"]["validation"]
    assert [text.get_text() for text in folds(curves, "cnn").legends[0].get_texts()] == ["chance"]


def test_each_corruption_has_a_panel_with_the_auroc_from_severity_0_on() -> None:
    def area(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.1, "high": value + 0.1}

    areas = {"1": area(0.8), "5": area(0.6)}
    entry = {"original": area(0.9), "corrupted": {"blur": areas, "color_cast": areas}}
    panels = [axes for axes in robustness({"cnn": entry, "joint": entry}).axes if axes.get_title("left")]
    assert [axes.get_title("left") for axes in panels] == ["blur", "color cast"]
    for axes in panels:
        drawn = [line.get_xydata().tolist() for line in axes.lines if line.get_marker() == "o"]
        shown = [[[round(x), y] for x, y in points] for points in drawn]
        assert shown == [[[0, 0.9], [1, 0.8], [5, 0.6]]] * 2 and drawn[0] != drawn[1]


def test_legends_of_long_names_are_within_their_figures(study: Path, tmp_path: Path) -> None:
    names = [f"swin_tiny_patch4_window7_224_and_mlp_{number:03}" for number in range(15)]
    entries, curves, metrics = (
        dict.fromkeys(names, read_json(study / f"{name}.json")["cnn"]) for name in ("calibration", "curves", "metrics")
    )
    area = metrics[names[0]]["auroc"]
    corrupted = {"original": area, "corrupted": {name: {"1": area} for name in ("blur", "jpeg", "hair")}}
    drawings = {
        "roc": roc(curves, metrics, names[0]),
        "precision_recall": precision_recall(curves, metrics, names[0]),
        "reliability": reliability(entries, names[0]),
        "decision": decision(curves, metrics, names[0]),
        "robustness": robustness(dict.fromkeys(names, corrupted)),
    }
    for name, figure in drawings.items():
        save(figure, tmp_path / f"{name}.png")
        legend = figure.legends[0].get_window_extent()
        assert legend.x0 >= 0 and legend.y0 >= 0, name
        assert legend.x1 <= figure.bbox.x1 and legend.y1 <= figure.bbox.y1, name
