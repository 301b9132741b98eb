"""All the files that figures and report read, of a small study made up without a training."""

from pathlib import Path

import numpy as np
import pandas as pd

import plot
import tiny
import write_report as report_script
from evaluate import side_by_side
from in_process import call
from melanoma.common.files import write_csv, write_json, write_parquet, write_text, write_yaml
from melanoma.config.study import Evaluate
from melanoma.evaluation.curves import curves
from melanoma.evaluation.decisions import decide
from melanoma.evaluation.evaluate import comparisons, evaluate, reliability, validate
from melanoma.evaluation.shortcuts import areas, differences, find_shortcuts
from minimal_config import MINIMAL

RUNS = ("fold-0", "fold-1", "refit")
SELECTED = {
    "selected_model": "cnn",
    "best_single": "cnn",
    "adopted": False,
    "significance_level": 0.05,
    "n": 148,
    "melanomas": 40,
    "unit": "patient",
    "units": 37,
    "auroc": {"cnn": 0.81, "mlp": 0.8},
    "tuning_fold": None,
    "tests": {},
}


def history(validated: bool) -> pd.DataFrame:
    epoch = np.arange(1, 6)
    table = pd.DataFrame({"epoch": epoch, "lr": 1e-3, "train_loss": 1 / epoch, "train_auroc": 1 - 0.2 / epoch})
    for column, value in (
        ("loss", 1.2 / epoch),
        ("auroc", 1 - 0.3 / epoch),
        ("average_precision", 0.1 * epoch),
    ):
        table[f"validation_{column}"] = value if validated else np.nan
    return table


def write_split(folder: Path, train: pd.DataFrame, test: pd.DataFrame) -> None:
    """Write the catalog, the parts of the split, and the list of images without a part, which is empty."""
    generator = np.random.default_rng(1)
    columns = ["row", "image", "patient", "target", "fold"]
    known = {"source": "demo", "unit": "patient", "lesion": None, "width": 640, "height": 480, "site": "torso"}
    tables = []
    for rows in (train, test):
        people = {
            "age": generator.choice([30.0, 45.0, 60.0, np.nan], len(rows)),
            "sex": generator.choice(["female", "male"], len(rows)),
        }
        tables.append(rows[columns].assign(**known, **people))
    write_parquet(folder / "train.parquet", tables[0])
    write_parquet(folder / "test.parquet", tables[1].drop(columns=["target", "fold"]))
    license_ = {"license": "CC-BY-NC", "attribution": "The clinic", "skin_type": None}
    write_parquet(folder / "catalog.parquet", pd.concat(tables).drop(columns=["row", "fold"]).assign(**license_))
    write_text(folder / "left_out.csv", "image,reason\n")


def write_study(folder: Path) -> Path:
    """Write all the files that figures and report read, of a small study of 200 images, and return their folder."""
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
    write_split(folder, train, test)
    settings = Evaluate(replicates=100)
    models = {"cnn": test, "mlp": test.assign(probability=test["probability"] / 2)}
    decisions = {name: decide(train, name, settings) for name in models}
    metrics = evaluate(models, settings, decisions)
    metrics["cnn"]["validation"] = validate({"cnn": train}, settings)["cnn"]
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "comparisons.json", comparisons(models, settings))
    write_json(folder / "calibration.json", reliability(models, settings, decisions))
    drawn = {name: curves(table, name, settings, decisions[name], train) for name, table in models.items()}
    write_json(folder / "curves.json", drawn)
    write_parquet(folder / "test_predictions.parquet", side_by_side(models))
    write_json(folder / "selected_model.json", SELECTED)
    for run in RUNS:
        write_csv(folder / f"{run}.csv", history(run != "refit"))
    tiny.write_store(folder / "images.h5", table)
    write_yaml(folder / "cnn.yaml", {"network": "baseline_cnn", "epochs": 5, "monitor": "loss"})
    split = {"test_fraction": 0.25, "folds": 3, "run_folds": [0, 1], "group_by": ["patient"], "seed": 7}
    write_yaml(folder / "study.yaml", MINIMAL | {"split": split})
    checked = {
        "test": {"images": 52, "melanomas": 17, "patients": 13, "melanoma_patients": 9},
        "fold 0": {"images": 52, "patients": 13},
        "duplicates": 3,
    }
    sources = {"train": ["demo"], "test": ["demo"]}
    leakage = {"findings": [], "checked": checked, "unit": "patient", "notices": [], "sources": sources}
    write_json(folder / "leakage.json", leakage)
    write_text(
        folder / "issues.csv",
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
    bayes = {"joint": 0.9123, "image": 0.85, "metadata": 0.8}
    write_json(folder / "truth.json", {"bayes_auroc": {"population": bayes, "cohort": bayes}})
    return folder


def write_shortcuts(folder: Path, path: Path) -> Path:
    """Write the shortcut analysis of the models of the study, with one random baseline, and return its path."""
    known = {"age": 40.0, "sex": "male", "site": "torso", "source": "demo", "width": 640, "height": 480}
    rows = pd.read_parquet(folder / "test_predictions.parquet").assign(unit="patient", **known)
    models = {name: rows.assign(probability=rows[name]) for name in ("cnn", "mlp")}
    blind = {"age, sex and site": rows.assign(probability=np.random.default_rng(0).random(len(rows)))}
    settings = Evaluate(replicates=100)
    compared = {"baselines": areas(blind, settings), "differences": differences(models, blind, settings)}
    write_json(path, {"test": compared | find_shortcuts(models, settings), "out_of_fold": {"models": {}}})
    return path


def draw(folder: Path, part: str, output: Path) -> None:
    """Draw the figures of a part of the study into a folder."""
    train = ["--train", folder / "train.parquet"]
    options = {
        "evaluation": [
            *("--curves", folder / "curves.json", "--metrics", folder / "metrics.json"),
            *("--calibration", folder / "calibration.json", "--selected-model", folder / "selected_model.json"),
        ],
        "training": [
            *("--histories", *(f"cnn:{run}={folder / run}.csv" for run in RUNS), *train),
            *("--recipes", f"cnn={folder / 'cnn.yaml'}", f"other={folder / 'cnn.yaml'}"),
        ],
        "data": [*train, "--audit", folder / "leakage.json", "--images", folder / "images.h5"],
    }[part]
    call(plot, part, *options, "--output", output)


def report_options(folder: Path, **changed: Path) -> list[object]:
    """Return the options of write_report.py for the study, with some of its files exchanged."""
    files = {
        "study": folder / "study.yaml",
        "recipes": folder / "cnn.yaml",
        "truths": folder / "truth.json",
        **{name: folder / f"{name}.json" for name in ("metrics", "comparisons", "calibration", "curves", "leakage")},
        **{name: folder / f"{name}.parquet" for name in ("test_predictions", "catalog", "train", "test", "quality")},
        **{name: folder / f"{name}.csv" for name in ("issues", "left_out")},
        "images": folder / "images.h5",
    } | changed
    options = [option for name, path in files.items() for option in (f"--{name.replace('_', '-')}", path)]
    histories = ["--histories", *(f"cnn:{run}={folder / run}.csv" for run in RUNS)]
    drawn = folder / "figures"
    figures = [f"class_balance={drawn / 'class_balance.svg'}", f"augmentation:cnn={drawn / 'samples.png'}"]
    return [*options, *histories, "--figures", *figures]


def write_report(finished: Path, folder: Path, **changed: Path) -> str:
    """Write the report of a finished study, with some of its files exchanged, and return it."""
    output = ["--tables", folder / "tables", "--output", folder / "report.html"]
    call(report_script, *report_options(finished, **changed), *output)
    return (folder / "report.html").read_text()
