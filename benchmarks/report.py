"""Measures the report of a study of the size of ISIC 2020: 33,126 test images and 20 models, all simulated.

python benchmarks/report.py        writes results/report.md

It takes some minutes, most of them for the evaluation of the simulated predictions, which is not counted. The time
until the page can be used is that of headless Chromium.
"""

import shutil
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from measurement import ROOT, Stopwatch, conditions, markdown, parser, peak_memory, publish
from playwright.sync_api import sync_playwright

from melanoma.common.files import write_json, write_parquet, write_yaml
from melanoma.config.study import Evaluate
from melanoma.evaluation.curves import curves
from melanoma.evaluation.decisions import decide
from melanoma.evaluation.evaluate import comparisons, evaluate, reliability, validate
from melanoma.report.page import render
from melanoma.report.sources import Sources

sys.path += [str(ROOT / "tests" / "support"), str(ROOT / "scripts")]
import tiny
from evaluate import side_by_side

RESULTS = Path(__file__).parent / "results" / "report.md"
IMAGES, PATIENTS, MODELS, STORED, SIDE = 33_126, 2_056, 20, 400, 224
PREVALENCE = 0.0176


def cohort(seed: int, fold: int) -> pd.DataFrame:
    """Return images of patients with labels and metadata, of which 1.76 percent are melanomas."""
    draw = np.random.default_rng(seed)
    risk = draw.normal(size=PATIENTS)
    patient = np.sort(draw.integers(PATIENTS, size=IMAGES))
    target = (draw.random(IMAGES) < PREVALENCE * np.exp(risk[patient] - 0.5)).astype(np.int8)
    return pd.DataFrame(
        {
            "row": np.arange(IMAGES) % STORED,
            "image": [f"ISIC_{seed}{number:06d}" for number in range(IMAGES)],
            "patient": [f"IP_{number}" for number in patient],
            "lesion": None,
            "unit": "patient",
            "sex": draw.choice(["male", "female"], IMAGES),
            "age": draw.integers(4, 18, IMAGES) * 5.0,
            "site": draw.choice(["torso", "lower extremity", "upper extremity", "head/neck"], IMAGES),
            "width": 6000,
            "height": 4000,
            "source": "simulated",
            "license": "CC-BY-NC",
            "attribution": "nobody",
            "part": "test" if fold < 0 else "train",
            "fold": fold,
            "target": target,
        }
    )


def predicted(table: pd.DataFrame, model: int) -> pd.DataFrame:
    """Return a table with the probabilities of a model; a later model is better."""
    draw = np.random.default_rng([model, len(table)])
    logit = -4.5 + (1 + 0.08 * model) * table["target"] + draw.normal(size=len(table))
    return table.assign(probability=1 / (1 + np.exp(-logit)))


def write_images(folder: Path) -> Path:
    """Write a store of smooth random images."""
    draw = np.random.default_rng(0)
    small = draw.integers(60, 220, (STORED, 12, 12, 3), np.uint8)
    images = np.stack([cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC) for image in small])
    return tiny.write_pixels(folder / "images.h5", images, [str(row) for row in range(STORED)], "simulated")


def write_sources(folder: Path) -> Sources:
    """Write the files of the study and return them."""
    settings = Evaluate(replicates=100)
    test, train = cohort(1, -1), cohort(2, 0)
    models = {f"model_{number}": predicted(test, number) for number in range(MODELS)}
    decisions = {name: decide(predicted(train, number), name, settings) for number, name in enumerate(models)}
    metrics = evaluate(models, settings, decisions)
    metrics["model_0"]["validation"] = validate({"model_0": predicted(train, 0)}, settings)["model_0"]
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "comparisons.json", comparisons(models, settings))
    write_json(folder / "calibration.json", reliability(models, settings, decisions))
    drawn = {name: curves(table, name, settings, decisions[name]) for name, table in models.items()}
    write_json(folder / "curves.json", drawn)
    write_parquet(folder / "test_predictions.parquet", side_by_side(models))
    write_parquet(folder / "train.parquet", train)
    write_parquet(folder / "test.parquet", test.drop(columns="target"))
    write_parquet(folder / "catalog.parquet", pd.concat([train, test]))
    (folder / "left_out.csv").write_text("image,reason\n")
    (folder / "issues.csv").write_text("source,table,row,image,column,value,problem,action\n")
    recipes = {name: {"network": "baseline_cnn"} for name in models}
    sources = [{"name": "simulated", "table": "train.csv", "images": "jpeg"}]
    write_yaml(folder / "study.yaml", {"study": "simulated", "data": {"sources": sources}, "models": recipes})
    names = ("metrics", "comparisons", "calibration", "curves")
    tables = ("test_predictions", "train", "test", "catalog")
    return Sources(
        study=[folder / "study.yaml"],
        **{name: folder / f"{name}.json" for name in names},
        **{name: folder / f"{name}.parquet" for name in tables},
        **{name: folder / f"{name}.csv" for name in ("left_out", "issues")},
        images=write_images(folder),
    )


def seconds_to_use(page: Path) -> float:
    """Return the seconds from the request of the page until its script has drawn it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page()
        tab.goto(page.as_uri())
        tab.wait_for_selector("html[data-ready]", state="attached")
        ready: float = tab.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd") / 1000
        browser.close()
    return ready


def main() -> None:
    """Measure, and write the results."""
    parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sources = write_sources(Path(folder))
        with Stopwatch() as watch:
            html = render(sources).html
        path = Path(folder) / "report.html"
        path.write_text(html)
        row = [f"{IMAGES:,}", str(MODELS), f"{len(html.encode()) / 1e6:.1f}", f"{watch.wall:.1f}", f"{watch.cpu:.1f}"]
        row += [f"{peak_memory():.1f}", f"{seconds_to_use(path):.1f}"]
    columns = ["images", "models", "page, MB", "to write, s", "CPU, s", "memory, GB", "until usable, s"]
    publish(
        RESULTS,
        "# The report of a large study\n",
        "The page must have at most 10 MB, take less than 60 s to write, and be usable within 2 s.\n",
        markdown(columns, [row]),
        conditions("simulated predictions of the test set; the time until usable is that of headless Chromium"),
    )


if __name__ == "__main__":
    main()
