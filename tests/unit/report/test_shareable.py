"""A shareable report has no photograph, no name, no count of 1 to 9, and nothing that gives such a count back."""

import csv
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import write_report as script
from finished_study import report_options
from in_process import call
from melanoma.common.errors import InputError
from melanoma.common.files import read_json, read_parquet, read_yaml, write_json, write_parquet, write_text, write_yaml
from melanoma.config.study import resolve
from melanoma.report.shareable import check_size, coarse, masked, shareable_table, without_names
from melanoma.report.tables import Column, Table
from minimal_config import MINIMAL

WHOLE = {"n": 52, "melanomas": 17}
COUNTS = {"n", "melanomas", "units", "tp", "fp", "fn", "tn", "ranked", "images", "rows", "count"}


def group(n: int, melanomas: int) -> dict[str, Any]:
    area = {"value": 0.81234, "low": 0.7, "high": 0.9}
    keys = ("auroc", "sensitivity", "specificity", "ppv", "calibration_slope", "observed_expected")
    return {"n": n, "melanomas": melanomas, **dict.fromkeys(keys, area)}


@pytest.fixture(scope="module")
def written(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shareable report of a study with names everywhere, and with a rare site."""
    folder = tmp_path_factory.mktemp("shareable")
    names = ("issues.csv", "leakage.json", "metrics.json", "train.parquet", "cnn.yaml")
    files = {name: folder / name for name in names}
    line = "demo,train.csv,7,ISIC_0000007,patient_id,IP_07,age not in 0 to 120,dropped\n"
    write_text(files["issues.csv"], f"source,table,row,image,column,value,problem,action\n{line}")
    finding = {"kind": "patient", "boundary": "train/test", "count": 2, "images": ["ISIC_0000001"]}
    notices = ["Patient IP_07 has two sexes in 3 images."]
    write_json(files["leakage.json"], read_json(study / "leakage.json") | {"findings": [finding], "notices": notices})
    metrics = read_json(study / "metrics.json")
    sites = {"torso": group(47, 14), "palms": group(5, 3)}
    kinds = {"site": {"groups": sites, "heterogeneity": {}}}
    metrics["cnn"] |= {"subgroups": {"rule": "youden", "scale": "calibrated", "kinds": kinds}}
    write_json(files["metrics.json"], metrics)
    train = read_parquet(study / "train.parquet")
    train.loc[train.index[:4], "site"] = "palms"
    write_parquet(files["train.parquet"], train)
    write_yaml(files["cnn.yaml"], {"network": "external_predictions", "file": "data/of IP_07/theirs.csv"})
    write_yaml(folder / "study.yaml", read_yaml(study / "study.yaml") | {"report": {"shareable": True}})
    sheet = {"study": folder / "study.yaml", "selected_model": study / "selected_model.json"}
    changed = {{"cnn": "recipes"}.get(path.stem, path.stem): path for path in files.values()} | sheet
    (folder / "out").mkdir()
    options = report_options(study, **changed)
    call(script, *options, "--tables", folder / "out" / "tables", "--output", folder / "out" / "report.html")
    return folder / "out"


def rows(written: Path, table: str) -> list[dict[str, str]]:
    with (written / "tables" / f"{table}.csv").open() as file:
        return list(csv.DictReader(file))


def test_nothing_that_is_written_has_a_name_or_a_photograph(written: Path, study: Path) -> None:
    catalog = read_parquet(study / "catalog.parquet")
    texts = [path.read_text() for path in written.rglob("*") if path.is_file()]
    assert len(texts) > 10
    for text in texts:
        assert not re.search(r"data:image/(webp|png|jpeg);base64,\w", text)
        assert "ISIC_0" not in text and "IP_" not in text
        assert not set(re.findall(r"\w+", text)) & {*catalog["image"], *catalog["patient"]}
    data = json.loads(re.findall(r'id="page-data">(.*?)</script>', (written / "report.html").read_text())[0])
    assert data["patients"] == data["thumbnails"] == []


def test_no_table_has_a_small_count(written: Path) -> None:
    found = {path.stem: rows(written, path.stem) for path in (written / "tables").glob("*.csv")}
    counts = [row[key] for table in found.values() for row in table for key in COUNTS & set(row)]
    assert len(counts) > 20 and not [count for count in counts if count in set("123456789")]
    assert {row["rows"] for row in found["issues"]} == {"<10"} and {row["count"] for row in found["leaks"]} == {"<10"}
    shares = [row for row in found["table_1"] if row["characteristic"].startswith("Site")]
    assert shares and not [cell for row in shares for cell in row.values() if re.match(r"[1-9] \(", cell)]
    assert "hidden" in {row["training_benign"] for row in shares} | {row["training_melanoma"] for row in shares}


def test_a_small_group_is_not_the_rest_of_the_others(written: Path, study: Path) -> None:
    whole, torso, palms = rows(written, "subgroups")
    entry = read_json(study / "metrics.json")["cnn"]
    assert (whole["n"], whole["melanomas"]) == (str(entry["n"]), str(entry["melanomas"]))
    assert (palms["n"], palms["melanomas"]) == ("<10", "hidden"), "of 17 melanomas, 14 or more are elsewhere"
    assert palms["auroc"] == "" and palms["calibration_slope"] == ""
    assert (torso["n"], torso["melanomas"], torso["sensitivity"]) == ("hidden", "hidden", "")
    assert torso["auroc"] == "0.81", "an area gives no count back, in two digits"
    assert 'id="weakest"' not in (written / "report.html").read_text(), "one group is left"


def test_a_rate_that_gives_a_small_count_back_is_left_out(written: Path, study: Path) -> None:
    found = {(row["model"], row["rule"]): row for row in rows(written, "thresholds")}
    entries = read_json(study / "metrics.json")["cnn"]["thresholds"]
    few = [rule for rule, cells in entries.items() if any(0 < cells[key] < 10 for key in ("tp", "fp", "fn", "tn"))]
    assert few, "the small test set has few missed melanomas"
    for row in found.values():
        if "hidden" in row.values() or "<10" in row.values():
            assert row["sensitivity"] == row["specificity"] == row["ppv"] == row["kappa"] == ""
    hits = round(17 * read_json(study / "metrics.json")["cnn"]["sensitivity_at_90_specificity"]["value"])
    (cnn,) = [row for row in rows(written, "models") if row["model"] == "cnn"]
    assert 0 < hits < 10 or 0 < 17 - hits < 10, "17 melanomas are always few found or few missed"
    page = (written / "report.html").read_text()
    assert cnn["sensitivity_at_90_specificity"] == "" and ' id="found"' not in page
    assert any(0 < entries["sensitivity_90"][key] < 10 for key in ("tp", "fp", "fn", "tn"))
    assert ' id="reached"' not in page and "the sensitivity on the whole test set" not in page


def test_counts_of_a_total_are_hidden_together_and_no_total_tells_them() -> None:
    assert masked([20, 30, 0]) == [20, 30, 0]
    assert masked([3, 60, 0]) == ["<10", "hidden", "hidden"]
    assert masked([1, 10]) == ["hidden", "hidden"], "of 11 in all, the small one could only be 1"
    for counts in ([9, 17], [9, 18], [2, 3, 26], [2, 3, 25]):
        shown, total = masked(counts), sum(counts)
        if "<10" in shown:
            small = [count for count in counts if count < 10]
            least, most = len(small), 9 * len(small)
            assert all(total - guess >= 10 for guess in (least, most)), "each small count can be 1 to 9"


@pytest.mark.parametrize("seed", range(5))
def test_a_curve_has_steps_of_ten_images_of_a_class(seed: int) -> None:
    generator = np.random.default_rng(seed)
    tp, fp = (np.cumsum(generator.integers(0, 4, 60)).tolist() for _ in range(2))
    model = {"threshold": list(range(60)), "tp": tp, "fp": fp, "positives": tp[-1], "rules": {"a": 59, "b": 0}}
    model["reached"] = {"a": {"value": 0.8, "low": 0.7, "high": 0.9}, "b": {"value": 0.1, "low": 0.0, "high": 0.2}}
    drawn = coarse(model | {"benefit": [1], "decision": {}, "reliability": {"raw": [1]}})
    steps = [(0, 0), *zip(drawn["tp"], drawn["fp"], strict=True)]
    assert len(steps) > 3 and steps[-1] == (tp[-1], fp[-1])
    assert not [1 for one, two in pairwise(steps) for a, b in zip(one, two, strict=True) if 0 < b - a < 10]
    assert drawn["rules"] == {"a": 59} and list(drawn["reached"]) == ["a"]
    assert drawn["benefit"] == [] and drawn["reliability"] == {}


def test_a_single_group_does_not_tell_the_few_others() -> None:
    columns = [Column("variable", "V"), Column("group", "G"), *(Column(key, key, "count") for key in WHOLE)]
    columns.append(Column("auroc", "A", "number", 2))
    row = ["diagnosis", "confirmed by histology", 47, 12, {"value": 0.8}]
    shown = shareable_table(Table("subgroups", "", columns, [row]), WHOLE)
    assert shown.rows == [[*row[:2], "hidden", "hidden", row[4]]]


@pytest.mark.parametrize(
    ("n", "melanomas", "units", "what"),
    [(50, 9, 30, "10 melanomas"), (50, 41, 30, "10 benign"), (50, 20, 9, "10 patients")],
)
def test_a_tiny_study_has_no_shareable_report(n: int, melanomas: int, units: int, what: str) -> None:
    with pytest.raises(InputError, match=what):
        check_size([{"n": n, "melanomas": melanomas, "unit": "patient", "units": units}])


def test_names_in_a_text_are_replaced_as_whole_words() -> None:
    clean = without_names(["clinic:case_7", "ISIC_1234567", "12"])
    assert clean("case_7, case_77, clinic:case_7, [ISIC_1234567], 12") == "..., case_77, ..., [...], 12"


@pytest.mark.parametrize("key", ["identifiers", "images"])
def test_a_shareable_report_with_names_or_images_is_an_error(key: str) -> None:
    with pytest.raises(InputError, match=f"report.{key}: true, but report.shareable"):
        resolve(MINIMAL | {"report": {"shareable": True, key: True}})
