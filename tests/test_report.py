"""Figures are the same bytes for the same data; the report is one page that needs nothing but itself."""

import argparse
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pandas as pd
import pytest

import plot
import report as script
import tiny
from melanoma import figures, report
from melanoma.curves import curves
from melanoma.errors import InputError
from melanoma.evaluation import Settings, comparisons, decide, evaluate, reliability, validate
from melanoma.files import read_json, read_yaml, write_csv, write_json, write_parquet, write_text, write_yaml
from melanoma.shortcuts import areas, find_shortcuts

RUNS = ("fold-0", "fold-1", "refit")
COMMANDS = (
    "roc", "precision-recall", "decision", "reliability", "learning", "schedules", "sampling", "balance", "samples",
    "tuning",
)  # fmt: skip


def call(module: ModuleType, *options: object) -> None:
    parser = argparse.ArgumentParser()
    module.describe(parser)
    module.main(parser.parse_args([str(option) for option in options]))


def history(validated: bool) -> pd.DataFrame:
    epoch = np.arange(1, 6)
    table = pd.DataFrame({"epoch": epoch, "lr": 1e-3, "train_loss": 1 / epoch})
    for column, value in (
        ("loss", 1.2 / epoch),
        ("auroc", 1 - 0.3 / epoch),
        ("average_precision", 0.1 * epoch),
    ):
        table[f"validation_{column}"] = value if validated else np.nan
    return table


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write all the files that figures and report read, of a small study of 200 images."""
    folder = tmp_path_factory.mktemp("study")
    generator = np.random.default_rng(0)
    n = 200
    patient = np.arange(n) // 4
    target = (generator.random(n) < 0.3).astype(np.int8)
    fold = (patient % 4 - 1).astype(np.int8)
    table = pd.DataFrame(
        {
            "row": np.arange(n),
            "image": [f"ISIC_{i:07d}" for i in range(n)],
            "patient": [f"IP_{p:02d}" for p in patient],
            "part": np.where(fold < 0, "test", "train"),
            "fold": fold,
            "target": target,
            "probability": 1 / (1 + np.exp(-(2 * target - 2 + generator.normal(size=n)))),
        }
    )
    test, train = table[table["part"] == "test"], table[table["part"] == "train"]
    write_parquet(folder / "train.parquet", train[["row", "image", "patient", "target", "fold"]])
    settings = Settings(replicates=100)
    models = {"cnn": test, "mlp": test.assign(probability=test["probability"] / 2)}
    decisions = {name: decide(train, name, settings) for name in models}
    metrics = evaluate(models, settings, decisions)
    metrics["cnn"]["validation"] = validate({"cnn": train}, settings)["cnn"]
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "comparisons.json", comparisons(models, settings))
    write_json(folder / "calibration.json", reliability(models, settings, decisions))
    drawn = {name: curves(table, name, settings, decisions[name]) for name, table in models.items()}
    write_json(folder / "curves.json", drawn)
    for run in RUNS:
        write_csv(folder / f"{run}.csv", history(run != "refit"))
    with h5py.File(folder / "images.h5", "w") as store:
        store["images"] = generator.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8)
    write_yaml(folder / "cnn.yaml", tiny.recipe(choose_epoch_by="loss"))
    split = {"test_fraction": 0.25, "folds": 3, "run_folds": [0, 1], "group_by": ["patient"], "seed": 7}
    write_yaml(folder / "config.yaml", {"study": "demo", "split": {**split, "allow_leaks": False}})
    checked = {
        "test": {"images": 52, "melanomas": 17, "patients": 13, "melanoma_patients": 9},
        "fold 0": {"images": 52, "patients": 13},
        "duplicates": 3,
    }
    write_json(folder / "leakage.json", {"findings": [], "checked": checked})
    write_text(
        folder / "problems.csv",
        "source,table,row,image,column,value,problem,action\n"
        "demo,train.csv,7,ISIC_X,age_approx,<b>-4</b>,age not in 0 to 120,dropped\n",
    )
    quality = pd.DataFrame({"image": table["image"], "file": "a.jpg", "bytes": 1, "width": 640, "height": 480})
    quality["readable"] = quality.index != 3
    quality["problem"] = np.where(quality["readable"], None, "truncated")
    write_parquet(folder / "quality.parquet", quality)
    write_text(
        folder / "trials.csv",
        "trial,metadata.widths,optimizer.learning_rate,epoch,epochs,validation_auroc,chosen\n"
        "0a1b2c3d,[64],0.001,3,5,0.81234,True\n"
        '4e5f6a7b,"[64, 64]",0.0001,5,5,0.7,False\n'
        "11111111,[64],0.00001,1,1,,False\n",
    )
    space = {"metadata.widths": [[64], [64, 64]], "optimizer.learning_rate": {"log": [1e-5, 1e-3]}}
    write_yaml(folder / "tune.yaml", {"score": "auroc", "space": space})
    bayes = {"joint": 0.9123, "image": 0.85, "metadata": 0.8}
    write_json(folder / "truth.json", {"bayes_auroc": {"population": bayes, "cohort": bayes}})
    return folder


def draw(folder: Path, command: str, output: Path) -> bytes:
    curve = ["--curves", folder / "curves.json", "--metrics", folder / "metrics.json"]
    histories = [f"cnn:{run}={folder / run}.csv" for run in RUNS]
    options = {
        "roc": curve,
        "precision-recall": curve,
        "decision": curve,
        "reliability": ["--calibration", folder / "calibration.json"],
        "learning": ["--histories", *histories, "--recipes", f"cnn={folder / 'cnn.yaml'}"],
        "schedules": ["--recipes", f"cnn={folder / 'cnn.yaml'}", f"other={folder / 'cnn.yaml'}"],
        "sampling": ["--recipes", f"cnn={folder / 'cnn.yaml'}", "--train", folder / "train.parquet"],
        "balance": ["--audit", folder / "leakage.json"],
        "tuning": ["--trials", folder / "trials.csv", "--settings", folder / "tune.yaml"],
        "samples": ["--images", folder / "images.h5"],
    }[command]
    if command in ("balance", "samples"):
        options += ["--train", folder / "train.parquet"]
    call(plot, command, *options, "--output", output)
    return output.read_bytes()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_same_data_draw_the_same_bytes(study: Path, tmp_path: Path, command: str) -> None:
    kind = "png" if command == "samples" else "svg"
    first = draw(study, command, tmp_path / f"first.{kind}")
    assert first == draw(study, command, tmp_path / f"second.{kind}")
    assert first.startswith(b"\x89PNG" if kind == "png" else b"<?xml")
    assert b"<dc:date>" not in first


def test_a_figure_of_another_kind_is_refused(study: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"\.svg or \.png"):
        draw(study, "roc", tmp_path / "roc.gif")


def test_the_roc_legend_holds_auroc_with_its_interval(study: Path) -> None:
    metrics = pd.read_json(study / "metrics.json").to_dict()
    made = figures.roc(pd.read_json(study / "curves.json").to_dict(), metrics)
    labels = [text.get_text() for text in made.legends[0].get_texts()]
    auroc = metrics["cnn"]["auroc"]
    assert labels[0] == f"cnn  {auroc['value']:.4f} [{auroc['low']:.4f}, {auroc['high']:.4f}]"
    assert labels[-1] == "chance  0.5000"


@pytest.mark.parametrize(("choose_by", "epoch"), [("loss", 4), ("auroc", 2)])
def test_the_chosen_epoch_is_marked_by_what_the_recipe_chooses_by(choose_by: str, epoch: int) -> None:
    table = history(True)
    table["validation_loss"] = [5.0, 4, 3, 2, 9]
    table["validation_auroc"] = [0.5, 0.9, 0.6, 0.7, 0.8]
    made = figures.learning_curves({"cnn": {"fold-0": table}}, {"cnn": choose_by})
    marks = [line.get_xdata()[0] for line in made.axes[0].lines if line.get_marker() == "o"]
    assert marks == [epoch]


def test_a_history_without_its_columns_is_refused(study: Path, tmp_path: Path) -> None:
    write_text(tmp_path / "history.csv", "epoch,loss\n1,0.5\n")
    with pytest.raises(InputError, match="missing train_loss, validation_loss"):
        call(plot, "learning", "--histories", f"cnn:fold-0={tmp_path / 'history.csv'}", "--output", "x.svg")


def test_schedules_show_each_models_rates_over_its_own_epochs() -> None:
    groups = [{"match": "^image", "learning_rate": 3e-5}, {"match": "bias", "weight_decay": 0}]
    recipes = {
        "backbone": tiny.recipe(
            epochs=4, optimizer={"learning_rate": 1e-3, "groups": groups}, schedule={"factor": 0.1}
        ),
        "plain": tiny.recipe(epochs=9, optimizer={"learning_rate": 0.1}, schedule={"name": "constant"}),
    }
    backbone, plain = figures.plot_schedules(recipes).axes
    assert [line.get_label() for line in backbone.lines] == ["^image", "all others"]
    epochs, rates = backbone.lines[1].get_data()
    assert rates[epochs < 1] == pytest.approx(1e-3) and rates[(epochs >= 2) & (epochs < 3)] == pytest.approx(1e-5)
    assert epochs.max() < 4 and plain.get_xlim() == (0, 9) and backbone.get_ylim() == plain.get_ylim()
    assert plain.get_legend() is None and backbone.get_legend() is not None


@pytest.mark.parametrize("count", [1, 2, 3, 7, 12])
def test_there_is_a_panel_for_each_model_and_no_empty_one(count: int) -> None:
    recipes = {f"model_{number}": tiny.recipe() for number in range(count)}
    panels = figures.plot_schedules(recipes).axes
    assert [axes.get_title(loc="left") for axes in panels] == list(recipes)


def test_balance_counts_images_and_patients_of_each_fold_then_what_only_trains_then_test() -> None:
    train = pd.DataFrame(
        {"patient": ["p", "p", "q", "r", "s"], "fold": [0, 0, 0, 1, -1], "target": [0, 1, 0, 0, 1]},
    )
    test = {"images": 7, "melanomas": 2, "patients": 5, "melanoma_patients": 1}
    counts = figures.balance(train, test)
    assert set(counts.index[:-1]) == {"fold 0", "fold 1", "extra_train"} and counts.index[-1] == "test"
    assert counts.loc["fold 0"].tolist() == [2, 1, 1, 1]
    assert counts.loc["fold 1"].tolist() == [1, 0, 1, 0]
    assert counts.loc["extra_train"].tolist() == [0, 1, 0, 1]
    assert counts.loc["test"].tolist() == [5, 2, 4, 1]


def test_samples_are_drawn_from_their_class_by_seed() -> None:
    train = pd.DataFrame({"row": np.arange(100, 200), "target": [0, 1] * 50})
    chosen = figures.choose_samples(train, 1, 16, seed=1)
    assert len(set(chosen)) == 16
    assert all(row % 2 == 1 for row in chosen)
    assert chosen == figures.choose_samples(train.sample(frac=1, random_state=0), 1, 16, seed=1)
    assert chosen != figures.choose_samples(train, 1, 16, seed=2)
    assert len(figures.choose_samples(train, 0, 1000, seed=1)) == 50


def write_report(study: Path, folder: Path, **changed: Path) -> str:
    """Write the report of the study, with some of its files exchanged, and return it."""
    files = {
        "metrics": study / "metrics.json",
        "config": study / "config.yaml",
        "comparisons": study / "comparisons.json",
        "calibration": study / "calibration.json",
        "leakage": study / "leakage.json",
        "problems": study / "problems.csv",
        "quality": study / "quality.parquet",
        "recipes": study / "cnn.yaml",
        "truth": study / "truth.json",
    } | changed
    draw(study, "roc", folder / "roc.svg")
    draw(study, "samples", folder / "samples.png")
    drawn = ["--figures", f"roc={folder / 'roc.svg'}", f"samples={folder / 'samples.png'}"]
    options = [option for name, path in files.items() for option in (f"--{name}", path)]
    call(script, "--study", "demo", *drawn, *options, "--output", folder / "report.html")
    return (folder / "report.html").read_text()


class Links(HTMLParser):
    """Collects what a page refers to, and checks that each tag is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag not in ("meta", "img", "br", "link", "hr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_refers_to_nothing_outside_itself(study: Path, tmp_path: Path) -> None:
    page = write_report(study, tmp_path)
    links = Links()
    links.feed(page)
    assert links.open == []
    assert all(link.startswith(("data:", "#")) for link in links.found)
    assert sum(link.startswith("data:image/svg+xml") for link in links.found) == 1
    assert sum(link.startswith("data:image/png") for link in links.found) == 1
    assert "<script" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_links_within_the_report_lead_somewhere(study: Path, tmp_path: Path) -> None:
    page = write_report(study, tmp_path)
    targets = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= targets


def test_the_report_holds_results_split_problems_recipes_versions_and_limits(study: Path, tmp_path: Path) -> None:
    page = write_report(study, tmp_path)
    entry = pd.read_json(study / "metrics.json")["cnn"]
    for text in (
        f"{entry['auroc']['value']:.4f}",
        f"[{entry['auroc']['low']:.4f}, {entry['auroc']['high']:.4f}]",
        f"{entry['validation']['auroc']['value']:.4f}",
        "0.9123",
        "Leakage gate passed",
        "25 % of the images",
        "age not in 0 to 120",
        "truncated",
        "choose_epoch_by: loss",
        "scikit-learn",
        f"--configfile {study / 'config.yaml'}",
        "not a medical device",
        (report.ROOT / "report" / "roc.rst").read_text().strip()[:40],
    ):
        assert text in page, text


def test_the_report_holds_comparisons_thresholds_and_calibration(study: Path, tmp_path: Path) -> None:
    page = write_report(study, tmp_path)
    entry = read_json(study / "metrics.json")["cnn"]
    (pair,) = read_json(study / "comparisons.json")["pairs"]
    calibration = read_json(study / "calibration.json")["cnn"]
    for text in (
        f"{entry['partial_auroc']['value']:.3f}",
        f"{entry['sensitivity_at_90_specificity']['value']:.3f}",
        f"{entry['thresholds']['youden']['threshold']:.4g}",
        f"{entry['thresholds']['f2']['kappa']['value']:.3f}",
        f"{entry['calibrated']['ece']['value']:.4f}",
        f"{pair['difference']['value']:+.4f}",
        f"{pair['bootstrap']['p_holm']:.4f}",
        f"<td>{calibration['calibrator']['method'].replace('_', ' ')}</td>",
    ):
        assert text in page, text


def test_the_report_says_which_model_is_the_answer_and_why(study: Path, tmp_path: Path) -> None:
    test = {"difference": 0.0123, "p": 0.004, "p_holm": 0.012, "adopted": True}
    found = {"answer": "cnn", "best_single": "mlp", "adopted": True, "level": 0.05, "n": 148, "melanomas": 40}
    found |= {"patients": 37, "auroc": {"cnn": 0.8123, "mlp": 0.8}, "tests": {"cnn": test}}
    write_json(tmp_path / "answer.json", found)
    page = write_report(study, tmp_path, answer=tmp_path / "answer.json")
    for text in ('<b class="name">cnn</b>', "beats the best single model, mlp", "+0.0123", "0.0120", "37 patients"):
        assert text in page, text
    alone = found | {"answer": "mlp", "adopted": False, "tests": {"cnn": test | {"adopted": False, "p_holm": 0.3}}}
    write_json(tmp_path / "answer.json", alone)
    page = write_report(study, tmp_path, answer=tmp_path / "answer.json")
    assert "no fusion is shown to be better" in page and "not shown to be better" in page


def test_the_report_sets_fusions_with_context_beside_the_same_without(study: Path, tmp_path: Path) -> None:
    metrics = read_json(study / "metrics.json")
    entry = metrics["cnn"]
    write_json(tmp_path / "metrics.json", metrics | {"stack": entry, "stack_without_context": entry})
    answer = {"answer": "cnn", "best_single": "cnn", "adopted": False, "level": 0.05, "n": 9, "melanomas": 3}
    write_json(tmp_path / "answer.json", answer | {"patients": None, "auroc": {"cnn": 0.8}, "tests": {}})
    page = write_report(study, tmp_path, metrics=tmp_path / "metrics.json", answer=tmp_path / "answer.json")
    assert "Patient context" in page and page.count(f"{entry['validation']['auroc']['value']:.4f}") >= 4


def test_the_report_holds_shortcuts_and_subgroups(study: Path, tmp_path: Path) -> None:
    train = pd.read_parquet(study / "train.parquet").drop(columns=["row", "fold"])
    known = {"age": 40.0, "sex": "male", "site": "torso", "source": "demo", "width": 640, "height": 480}
    rows = train.assign(probability=np.random.default_rng(0).random(len(train)), **known)
    settings = Settings(replicates=100)
    for label, table in (("known", rows), ("unknown", rows.assign(patient=None, width=0, height=0))):
        found = find_shortcuts({"cnn": table}, settings) | {"baselines": areas({"age, sex and site": table}, settings)}
        write_json(tmp_path / "shortcuts.json", {"test": found, "out_of_fold": {"models": {}}})
        page = write_report(study, tmp_path, shortcuts=tmp_path / "shortcuts.json")
        model = found["models"]["cnn"]
        assert f"age, sex and site {model['auroc']['value']:.3f}" in page and "30 to 44" in page
        assert ("patients unknown" in page) == (label == "unknown") == ("sizes unknown" in page)
        if label == "known":
            assert f"{model['within_patient']['first']['value']:.2f}" in page
            assert f"of {model['within_patient']['ranked']} (chance" in page


def test_many_comparisons_are_folded_away(study: Path, tmp_path: Path) -> None:
    comparisons = read_json(study / "comparisons.json")
    write_json(tmp_path / "comparisons.json", comparisons | {"pairs": comparisons["pairs"] * 20})
    assert "20 comparisons, of which" in write_report(study, tmp_path, comparisons=tmp_path / "comparisons.json")


def test_calibration_is_drawn_only_where_there_is_one(study: Path) -> None:
    entries = read_json(study / "calibration.json")
    assert [axes.get_title("left") for axes in figures.reliability(entries).axes] == ["Raw", "Calibrated"]
    raw = {name: {"reliability": {"raw": entry["reliability"]["raw"]}} for name, entry in entries.items()}
    assert [axes.get_title("left") for axes in figures.reliability(raw).axes] == ["Raw"]


def test_the_report_is_the_same_text_again(study: Path, tmp_path: Path) -> None:
    assert write_report(study, tmp_path) == write_report(study, tmp_path)


def test_what_tables_hold_cannot_become_markup(study: Path, tmp_path: Path) -> None:
    page = write_report(study, tmp_path)
    assert "<b>-4</b>" not in page
    assert "&lt;b&gt;-4&lt;/b&gt;" in page


def test_a_leak_is_a_red_banner(study: Path, tmp_path: Path) -> None:
    finding = {"kind": "patient", "boundary": "train/test", "count": 2, "images": ["ISIC_1", "ISIC_2"]}
    write_json(tmp_path / "leakage.json", {"findings": [finding], "checked": {}})
    page = write_report(study, tmp_path, leakage=tmp_path / "leakage.json")
    assert 'class="banner bad"' in page
    assert 'class="banner good"' not in page
    assert "not to be believed" in page
    assert "ISIC_1, ISIC_2" in page


def test_allowed_leaks_are_a_red_banner_even_if_none_was_found(study: Path, tmp_path: Path) -> None:
    write_yaml(tmp_path / "config.yaml", {"study": "demo", "split": {"allow_leaks": True}})
    page = write_report(study, tmp_path, config=tmp_path / "config.yaml")
    assert "Leaks were allowed" in page


def test_a_sequential_split_is_a_red_banner_whatever_the_gate_found(study: Path, tmp_path: Path) -> None:
    split = {"method": "sequential", "test_fraction": 0.2, "folds": 5, "run_folds": [4], "allow_leaks": True}
    write_yaml(tmp_path / "config.yaml", {"study": "demo", "split": split})
    page = write_report(study, tmp_path, config=tmp_path / "config.yaml")
    assert "Leaky split: the results below are not to be believed" in page
    assert "The last 20 % of the rows, in file order" in page
    assert 'class="banner good"' not in page


def test_a_predefined_split_says_where_it_comes_from(study: Path, tmp_path: Path) -> None:
    predefined = {"table": "folds.csv", "column": "tfrecord", "test": [0, 1], "folds": [[2], [3]]}
    split = {"method": "predefined", "folds": 2, "run_folds": [0], "predefined": predefined}
    write_yaml(tmp_path / "config.yaml", {"study": "demo", "split": split})
    page = write_report(study, tmp_path, config=tmp_path / "config.yaml")
    assert "read from column tfrecord of folds.csv: test is 0, 1" in page
    assert 'class="banner good"' in page


def test_a_study_without_problems_says_so(study: Path, tmp_path: Path) -> None:
    write_text(tmp_path / "problems.csv", "source,table,row,image,column,value,problem,action\n")
    assert "every row of the tables was used" in write_report(study, tmp_path, problems=tmp_path / "problems.csv")


def test_a_report_of_metrics_alone_is_whole(study: Path, tmp_path: Path) -> None:
    metrics = pd.read_json(study / "metrics.json").to_dict()
    chosen = "validation", "thresholds", "calibrated"
    alone = {key: value for key, value in metrics["cnn"].items() if key not in chosen}
    alone["bootstrap"] = alone["bootstrap"] | {"clusters": "image"}
    write_json(tmp_path / "metrics.json", {"mine": alone | {"patients": None}})
    write_text(tmp_path / "config.yaml", "study: demo\n")
    sources = report.Sources(metrics=tmp_path / "metrics.json", config=[tmp_path / "config.yaml"])
    page = report.render("demo", sources)
    assert "No patients are known for mine" in page
    assert "banner" not in page.split("</style>")[1]


def test_every_figure_has_a_caption() -> None:
    captions = {path.stem for path in (report.ROOT / "report").glob("*.rst")}
    assert {
        "workflow",
        "roc",
        "precision_recall",
        "reliability",
        "decision",
        "learning_curves",
        "schedules",
        "class_balance",
        "metrics",
        "samples",
        "augmentation",
    } <= captions


def test_each_model_says_which_weights_it_started_from(study: Path, tmp_path: Path) -> None:
    recipes = {
        "own": {"network": "baseline_cnn"},
        "tuned": {"network": "resnest269", "backbone": {"pretrained": True, "weights": None}},
        "fresh": {"network": "resnest269", "backbone": {"pretrained": False, "weights": None}},
        "forest": {"network": "random_forest"},
    }
    for name, recipe in recipes.items():
        write_yaml(tmp_path / f"{name}.yaml", recipe)
    sources = report.Sources(
        metrics=study / "metrics.json",
        config=[study / "config.yaml"],
        recipes={name: tmp_path / f"{name}.yaml" for name in recipes},
    )
    page = report.render("demo", sources)
    for name, start in {
        "own": ", from random weights",
        "tuned": ", from pretrained weights resnest269-0cc87c48.pth",
        "fresh": ", from random weights",
        "forest": "",
    }.items():
        assert f"<summary>{name}{start}</summary>" in page


def test_the_report_shows_trials_and_how_often_the_test_was_read(study: Path, tmp_path: Path) -> None:
    entries = [{"time": f"2030-01-0{n + 1}", "test": "t", "configuration": f"{n % 2}"} for n in range(3)]
    write_text(tmp_path / "ledger.jsonl", "".join(json.dumps(entry) + "\n" for entry in entries))
    spread = {"auroc": [0.81, None], "sd": None}
    write_json(tmp_path / "seeds.json", {"cnn": {"seeds": ["1", "2"], "test": spread, "out_of_fold": spread}})
    write_yaml(tmp_path / "few.yaml", read_yaml(study / "config.yaml") | {"evaluate": {"most_configurations": 1}})
    changed = {"trials": study / "trials.csv", "seeds": tmp_path / "seeds.json", "ledger": tmp_path / "ledger.jsonl"}
    page = write_report(study, tmp_path, **changed)
    assert "3 trials of its tuning" in page and "0.8123" in page and "0.8100, none" in page
    assert "opened 3 times since 2030-01-01, for 2 configurations" in page and "Many looks" not in page
    assert "Many looks at one test" in write_report(study, tmp_path, **changed, config=tmp_path / "few.yaml")
