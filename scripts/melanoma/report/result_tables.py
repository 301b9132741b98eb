"""The tables of results: models, comparisons, thresholds, calibration, shortcuts, subgroups, selection."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from melanoma.config.checks import WITHOUT_CONTEXT
from melanoma.config.study import Study
from melanoma.evaluation.results import Comparisons, ModelMetrics, Reliability, Shortcuts
from melanoma.report.tables import Cell, Column, Table, decimals, unless_few, value_of

if TYPE_CHECKING:  # the statistics load scipy.sparse, which the report need not
    from melanoma.stats.bootstrap import Interval

RULES = {"g_mean": "G-mean", "youden": "Youden", "f2": "F2"}
RATES = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "balanced_accuracy": "Balanced accuracy",
    "f2": "F2",
    "g_mean": "G-mean",
    "kappa": "Kappa",
}
RANKING = {
    "auroc": "Test AUROC",
    "average_precision": "Average precision",
    "partial_auroc": "Partial AUROC",
    "sensitivity_at_90_specificity": "Sens. at 90\xa0% spec.",
    "specificity_at_90_sensitivity": "Spec. at 90\xa0% sens.",
}
ERRORS = {"ece": "ECE", "brier": "Brier score", "log_loss": "Log loss"}


def kind_of(name: str, study: Study) -> str:
    """Return what a model reads, in words."""
    if name in study.all_fusions:
        return "fusion"
    recipe = study.models.get(name)
    if recipe is None or recipe.is_external:
        return "external predictions"
    if not recipe.reads_images:
        return "metadata"
    return "image and metadata" if recipe.head == "image_and_metadata" else "image"


def models(metrics: Mapping[str, ModelMetrics], study: Study, selected: str | None) -> Table:
    """Return the results of all models: the selected one, then the highest test AUROC first."""
    digits = least_decimals(metrics)
    lowest = min(0.5, *(bound(entry["auroc"]) for entry in metrics.values()))
    columns = [Column("model", "Model"), Column("kind", "Kind")]
    first, *others = (Column(key, heading, "number", digits) for key, heading in RANKING.items())
    columns += [first, Column("out_of_fold_auroc", "Out-of-fold AUROC", "number", digits), *others]
    columns += [Column("brier", "Brier score", "number", 3), Column("n", "Images", "count")]
    columns += [Column("melanomas", "Melanomas", "count")]
    rows: list[list[Cell]] = []
    for name, entry in sorted(metrics.items(), key=lambda item: (item[0] != selected, -item[1]["auroc"]["value"])):
        values: list[Cell] = [entry[key] for key in RANKING]  # type: ignore[literal-required]
        validated = entry["validation"]["auroc"] if "validation" in entry else None
        brier = entry.get("calibrated", entry)["brier"]
        rows.append(
            [name, kind_of(name, study), values[0], validated, *values[1:], brier, entry["n"], entry["melanomas"]]
        )
    first_row = ": the selected model, then the others" if selected in metrics else ""
    return Table(
        "models",
        f"Results of all models and fusions on the test set{first_row}, the highest AUROC first.",
        columns,
        rows,
        selected=selected,
        bars="auroc",
        axis=(int(lowest * 10) / 10, 1.0),
        searched=True,
    )


def bound(interval: Mapping[str, Any]) -> float:
    """Return the lower bound of an interval, or its value without bounds."""
    low = interval["low"]
    return float(interval["value"] if low is None else low)


def least_decimals(metrics: Mapping[str, ModelMetrics]) -> int:
    """Return the decimals of the rates: those of the smallest test set."""
    return decimals(min(entry["melanomas"] for entry in metrics.values()))


def comparisons(content: Comparisons, selected: str | None) -> Table:
    """Return the differences in AUROC of all pairs of models, those of the selected model to others first.

    Then the smallest p value comes first.
    """
    digits = decimals(content["melanomas"]) + 1
    rows: list[list[Cell]] = []
    for pair in content["pairs"]:
        names, difference = [pair["first"], pair["second"]], pair["difference"]
        if pair["second"] == selected:
            names, difference = names[::-1], _negative(difference)
        rows.append([*names, difference, pair["bootstrap"]["p_holm"], pair["delong"]["p_holm"]])
    first = ", those of the selected model first" if any(row[0] == selected for row in rows) else ""
    return Table(
        "comparisons",
        f"Differences in test AUROC between all pairs of models{first}. The p values are corrected by Holm's method.",
        [
            Column("first", "First model"),
            Column("second", "Second model"),
            Column("difference", "AUROC, first minus second", "signed", digits),
            Column("p_bootstrap", "p, bootstrap", "p"),
            Column("p_delong", "p, DeLong", "p"),
        ],
        sorted(rows, key=lambda row: (row[0] != selected, row[3])),
        searched=True,
    )


def _negative(interval: Interval) -> Interval:
    low, high = interval["low"], interval["high"]
    bounds = [None if bound is None else 0 - bound for bound in (high, low)]
    return {"value": 0 - interval["value"], "low": bounds[0], "high": bounds[1]}


def thresholds(metrics: Mapping[str, ModelMetrics], selected: str | None) -> Table | None:
    """Return the rates at the thresholds that were selected out of fold, those of the selected model first."""
    digits = least_decimals(metrics)
    known = {name: entry["thresholds"] for name, entry in metrics.items() if "thresholds" in entry}
    rows: list[list[Cell]] = [
        [name, rule_name(rule), cells["threshold"], *(cells[key] for key in ("tp", "fp", "fn", "tn"))]
        + [cells[key] for key in RATES]  # type: ignore[literal-required]
        for name, rules in sorted(known.items(), key=lambda item: item[0] != selected)
        for rule, cells in rules.items()
    ]
    columns = [
        Column("model", "Model"),
        Column("rule", "Rule"),
        Column("threshold", "Threshold", "short"),
        *(Column(key, key.upper(), "count") for key in ("tp", "fp", "fn", "tn")),
        *(Column(key, heading, "number", digits) for key, heading in RATES.items()),
    ]
    caption = "Performance on the test set at thresholds that were selected on out-of-fold predictions."
    return Table("thresholds", caption, columns, rows, selected, searched=True) if rows else None


def rule_name(rule: str) -> str:
    """Return the rule of a threshold in words."""
    return RULES.get(rule, f"{rule.replace('_', ' ')} %" if "_" in rule else rule)


def calibration(
    metrics: Mapping[str, ModelMetrics], calibrators: Mapping[str, Reliability], selected: str | None
) -> Table:
    """Return the errors of the probabilities before and after calibration."""
    digits = least_decimals(metrics) + 1
    rows: list[list[Cell]] = []
    for name, entry in metrics.items():
        calibrator = calibrators[name].get("calibrator") if name in calibrators else None
        row: list[Cell] = [name, str(calibrator["method"]).replace("_", " ") if calibrator else "not fitted"]
        for key in ERRORS:
            row += [entry[key], entry["calibrated"][key] if "calibrated" in entry else None]  # type: ignore[literal-required]
        rows.append(row)
    columns = [Column("model", "Model"), Column("calibrator", "Calibrator")]
    for key, heading in ERRORS.items():
        columns += [Column(key, f"{heading} before", "number", digits)]
        columns += [Column(f"{key}_calibrated", f"{heading} after", "number", digits)]
    return Table(
        "calibration",
        "Errors of the predicted probabilities on the test set, before and after calibration.",
        columns,
        rows,
        selected,
        searched=len(rows) > 8,
    )


def shortcuts(part: Shortcuts, name: str, selected: str | None) -> Table:
    """Return the shortcut analysis of all models on the test set or out of fold."""
    rows: list[list[Cell]] = []
    digits = 2 if name == "shortcuts" else 3
    differences = part.get("differences", {})
    for model, entry in part["models"].items():
        size, patient, beyond = entry["within_size"], entry["within_patient"], differences.get(model)
        rows.append(
            [
                model,
                entry["auroc"],
                beyond["difference"] if beyond else None,
                beyond["p"] if beyond else None,
                size["auroc"] if size else None,
                patient["auroc"] if patient else None,
                patient["first"] if patient and patient["ranked"] else None,
                patient["chance"]["value"] if patient and patient["ranked"] else None,
                patient["ranked"] if patient else None,
                entry["r2"],
                entry["adjusted_auroc"],
            ]
        )
    columns = [
        Column("model", "Model"),
        Column("auroc", "AUROC", "number", digits),
        Column("difference", "Minus AUROC without pixels", "signed", digits + 1),
        Column("p", "p", "p"),
        Column("within_size", "Within size", "number", digits),
        Column("within_patient", "Within patient", "number", digits),
        Column("ranked_first", "Ranked first", "number", 2),
        Column("by_chance", "Ranked first by chance", "number", 2),
        Column("ranked", "Ranked melanomas", "count"),
        Column("r2", "R²", "number", 2),
        Column("adjusted_auroc", "Adjusted AUROC", "number", digits),
    ]
    where = "on the test set" if name == "shortcuts" else "out of fold"
    return Table(name, f"Shortcut (acquisition-bias) analysis {where}.", columns, rows, selected)


def subgroups(part: Shortcuts, name: str, model: str) -> Table:
    """Return the AUROC of a model in each subgroup."""
    groups = [(kind, group, counts) for kind, named in part["subgroups"].items() for group, counts in named.items()]
    rows: list[list[Cell]] = [
        [
            kind.replace("_", " "),
            group,
            counts["n"],
            counts["melanomas"],
            counts["units"] if counts["unit"] != "image" else None,
            unless_few(counts["auroc"].get(model), min(counts["melanomas"], counts["n"] - counts["melanomas"])),
        ]
        for kind, group, counts in groups
    ]
    units = {counts["unit"] for _, _, counts in groups}
    areas = [bound(row[-1]) for row in rows if value_of(row[-1]) is not None]
    columns = [
        Column("variable", "Variable"),
        Column("group", "Group"),
        Column("n", "Images", "count"),
        Column("melanomas", "Melanomas", "count"),
        Column("units", "Lesions" if units == {"lesion"} else "Patients", "count"),
        Column("auroc", "AUROC", "number", 2),
    ]
    where = "on the test set" if name == "subgroups" else "out of fold"
    axis = (int(min(0.5, *areas, 1.0) * 10) / 10, 1.0)
    return Table(name, f"AUROC of {model} in subgroups {where}.", columns, rows, bars="auroc", axis=axis)


def selection(content: Mapping[str, Any], digits: int) -> Table | None:
    """Return the tests of the fusions against the best single model."""
    rows: list[list[Cell]] = []
    for name, test in content["tests"].items():
        selected = name == content["selected_model"]
        result = "selected" if selected else "significantly higher" if test["adopted"] else "not significantly higher"
        rows.append([name, content["auroc"][name], test["difference"], test["p"], test["p_holm"], result])
    columns = [
        Column("fusion", "Fusion"),
        Column("out_of_fold_auroc", "Out-of-fold AUROC", "number", digits),
        Column("difference", f"Difference to {content['best_single']}", "signed", digits),
        Column("p", "p", "p"),
        Column("p_holm", "p, corrected", "p"),
        Column("result", "Result"),
    ]
    caption = "One-sided tests of each fusion against the best single model, on out-of-fold predictions."
    return Table("selection", caption, columns, rows, content["selected_model"]) if rows else None


def contexts(metrics: Mapping[str, ModelMetrics]) -> Table | None:
    """Return the AUROC of each fusion with patient context beside that of the same fusion without it."""
    digits = least_decimals(metrics)
    with_context = [name for name in metrics if name + WITHOUT_CONTEXT in metrics]
    rows: list[list[Cell]] = [
        [
            name,
            *(metrics[each]["validation"]["auroc"] if "validation" in metrics[each] else None for each in pair),
            *(metrics[each]["auroc"] for each in pair),
        ]
        for name in with_context
        if (pair := (name + WITHOUT_CONTEXT, name))
    ]
    columns = [
        Column("fusion", "Fusion"),
        Column("out_of_fold_without", "Out-of-fold AUROC without context", "number", digits),
        Column("out_of_fold_with", "Out-of-fold AUROC with context", "number", digits),
        Column("test_without", "Test AUROC without context", "number", digits),
        Column("test_with", "Test AUROC with context", "number", digits),
    ]
    return Table("patient_context", "Fusions with and without patient context.", columns, rows) if rows else None


def shortcut_tables(content: Mapping[str, Shortcuts], shown: str, selected: str | None) -> dict[str, Table]:
    """Return the shortcut analysis and the subgroups, on the test set and out of fold."""
    tables = {}
    for part, suffix in (("test", ""), ("out_of_fold", "_out_of_fold")):
        result = content[part]
        if result["models"]:
            model = shown if shown in result["models"] else next(iter(result["models"]))
            tables[f"shortcuts{suffix}"] = shortcuts(result, f"shortcuts{suffix}", selected)
            tables[f"subgroups{suffix}"] = subgroups(result, f"subgroups{suffix}", model)
    return tables


def baseline(content: Mapping[str, Shortcuts] | None, shown: str) -> dict[str, Any] | None:
    """Return the AUROC of the model without pixels that reads most, its inputs in words, and how `shown` differs."""
    known = content["test"].get("baselines", {}) if content else {}
    if not content or not known:
        return None
    others, final_and, last = " ".join(known).rpartition(" and ")
    return {
        "inputs": others.replace(" and ", ", ") + final_and + last,
        "auroc": list(known.values())[-1],
        "beyond": content["test"].get("differences", {}).get(shown),
    }
