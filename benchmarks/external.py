"""Trains on real images and evaluates on an external test that shares a patient and 20 photographs with the training.

python benchmarks/external.py --data FOLDER        writes results/external.md

FOLDER has isic2020-subset/ (train.csv, jpeg/train/) and isic2020-tables/train.csv. The study has about 300 real images.
The external test, source `archive` of role test, has rows of the official table whose patients are not in the study,
each with a drawn lesion. Planted are another real image of a training patient, and copies of 20 training images:
cropped, shrunk, mirrored and encoded again, as images of new patients. The whole workflow runs, with a small network.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import pandas as pd
from measurement import ROOT, conditions, markdown, parser, publish
from numpy.typing import NDArray

from list_sizes import quality_table
from melanoma.common.files import read_json, write_yaml
from melanoma.config.study import resolve
from melanoma.data.catalog import build_catalog
from melanoma.demo.images import draw_photograph
from melanoma.split.assign import read_pairs, split_images, usable_images
from melanoma.stats.bootstrap import Interval

IMAGES, BENIGN, MELANOMAS, COPIES = 300, 60, 40, 20
SIGNAL = 1.0  # by how many standard deviations drawn melanomas look more malignant
SMALL = {"channels": [16, 32, 64], "kernels": [3, 3, 3], "padding": "same", "pooling": "average", "hidden": [32]}
RESOURCES = {"threads": 1, "mem_mb": 4000, "runtime": 30}
NETWORK = {"network": "baseline_cnn", "baseline_cnn": SMALL, "epochs": 10, "batch_size": 16, "resources": RESOURCES}


class Planted(NamedTuple):
    """The images of the study with a copy in the external test, and those of the patient who is in it."""

    copied: set[str]
    of_patient: set[str]


def study(folder: Path) -> dict[str, Any]:
    """Return the study of the tables and images in `folder`, without the external test."""
    return {
        "study": "external",
        "data": {"sources": [{"name": "real", "table": str(folder / "real.csv"), "images": str(folder / "real")}]},
        "images": {"size": 64, "shards": 1},
        "split": {"folds": 3, "run_folds": [0, 1, 2]},
        "models": {"cnn": NETWORK, "logistic": {"network": "logistic_regression"}},
        "fusions": {"mean": {"method": "mean", "members": ["cnn", "logistic"]}},
    }


def archive(folder: Path) -> dict[str, str]:
    """Return the external test as a source."""
    return {"name": "archive", "role": "test", "table": str(folder / "archive.csv"), "images": str(folder / "archive")}


def write_real(folder: Path, data: Path) -> pd.DataFrame:
    """Write the images and the table of the study; return the rows of images that could be planted.

    These are the last image of each patient with three or more. All other images of the patient are in the study.
    """
    table = pd.read_csv(data / "train.csv")
    patients = pd.Series(table["patient_id"].unique()).sample(frac=1, random_state=0)
    table = table.set_index("patient_id", drop=False).loc[patients].reset_index(drop=True)[:IMAGES]
    last = ~table["patient_id"].duplicated(keep="last")
    kept = last & table.groupby("patient_id")["patient_id"].transform("size").ge(3)
    table[~kept].to_csv(folder / "real.csv", index=False)
    (folder / "real").mkdir()
    for name in table.loc[~kept, "image_name"]:
        shutil.copy(data / f"jpeg/train/{name}.jpg", folder / "real")
    return table[kept]


def training_images(folder: Path) -> set[str]:
    """Return the images that train in the study without the external test."""
    settings = resolve(study(folder))
    catalog, _ = build_catalog(settings.data)
    images = split_images(usable_images(catalog, quality_table(catalog)), read_pairs(None), settings.split).images
    return set(images.loc[images["part"] == "train", "image"])


def write_archive(folder: Path, data: Path, kept: pd.DataFrame) -> Planted:
    """Write the images and the table of the external test; `kept` are rows of `write_real`."""
    real = pd.read_csv(folder / "real.csv")
    train = real[real["image_name"].isin(training_images(folder))]
    other = kept[kept["patient_id"].isin(train["patient_id"])].head(1)
    of_patient = train[train["patient_id"].isin(other["patient_id"])]
    copied = train.drop(of_patient.index).head(COPIES)
    (folder / "archive").mkdir()
    for name in other["image_name"]:
        shutil.copy(data / f"isic2020-subset/jpeg/train/{name}.jpg", folder / "archive")
    for name in copied["image_name"]:
        pixels = cv2.imread(str(folder / f"real/{name}.jpg"))
        cut = len(pixels) // 25
        small = cv2.resize(pixels[cut:, :-cut], None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA)
        write_image(folder / f"archive/COPY_{name}.jpg", small[:, ::-1], 70)
    copies = copied.assign(image_name="COPY_" + copied["image_name"], patient_id="COPY_" + copied["patient_id"])
    rows = pd.concat([drawn_lesions(folder, data, real["patient_id"]), other, copies])
    rows.to_csv(folder / "archive.csv", index=False)
    return Planted(set(copied["image_name"]), set(of_patient["image_name"]))


def drawn_lesions(folder: Path, data: Path, patients: pd.Series) -> pd.DataFrame:
    """Draw lesions for rows of the official table whose patients are not `patients`; return the rows."""
    official = pd.read_csv(data / "isic2020-tables/train.csv")
    others = official[~official["patient_id"].isin(patients)]
    rows = pd.concat([others[others["target"] == 1].head(MELANOMAS), others[others["target"] == 0].head(BENIGN)])
    for number, row in enumerate(rows.itertuples()):
        rng = np.random.default_rng(number)
        photograph = draw_photograph(rng, (600, 450), rng.standard_normal() + SIGNAL * row.target)
        write_image(folder / f"archive/{row.image_name}.jpg", photograph[..., ::-1], 90)
    return rows


def write_image(path: Path, pixels: NDArray[np.uint8], quality: int) -> None:
    """Write an image, uint8 (height, width, 3) BGR, as a JPEG."""
    cv2.imwrite(str(path), np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality])


def run(folder: Path) -> Path:
    """Run the whole workflow in `folder`; return the folder of results."""
    config = study(folder)
    config["data"]["sources"].append(archive(folder))
    write_yaml(folder / "study.yaml", config)
    command = [str(Path(sys.executable).with_name("snakemake")), "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    subprocess.run([*command, "--directory", str(folder), "--configfile", str(folder / "study.yaml")], check=True)
    return folder / "results/external"


def apart(results: Path, planted: Planted) -> list[list[str]]:
    """Return the planted images and those that follow: how many, how many are named as such, and how many train."""
    reasons = pd.read_csv(results / "split/left_out.csv").set_index("image")["reason"]
    train = set(pd.read_parquet(results / "split/train.parquet")["image"])
    others = set(reasons.index) - planted.copied - planted.of_patient
    expected = [
        ("copied into the external test", planted.copied, "near-duplicate or listed duplicate in"),
        ("of the planted patient", planted.of_patient, "patient of"),
        ("others of the patients of copied images", others, "linked over other images to"),
    ]
    rows = []
    for what, images, link in expected:
        reason = f"{link} the external test archive"
        named = (reasons.reindex(sorted(images)) == reason).sum()
        rows.append([what, str(len(images)), f"{named}: {reason}", str(len(images & train))])
    return rows


def shown(bounds: Interval) -> str:
    """Return a value with its confidence interval."""
    return f"{bounds['value']:.3f} [{bounds['low']:.3f}, {bounds['high']:.3f}]"


def main() -> None:
    """Plant, run and publish."""
    options = parser(__doc__)
    options.add_argument("--data", type=Path, required=True, help="folder of the real data")
    options.add_argument("--output", type=Path, default=Path(__file__).parent / "results" / "external.md")
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        kept = write_real(folder, args.data / "isic2020-subset")
        planted = write_archive(folder, args.data, kept)
        results = run(folder)
        left_out = apart(results, planted)
        check = read_json(results / "evaluate/leakage.json")
        internal, external = (read_json(results / f"evaluate/{name}.json") for name in ("metrics", "external"))
        page = (results / "report/report.html").read_text()
    listed = {image for images in check["left_out"].values() for image in images}
    facts = [
        f"The check before training has {len(check['findings'])} findings and lists {len(listed)} images that are left",
        f"out. The report {'has' if 'drop' in page and 'archive' in page else 'lacks'} the external test.\n",
    ]
    models = [
        [model, shown(internal[model]["auroc"]), shown(entry["auroc"]), shown(entry["drop"]["internal_test"]["auroc"])]
        for model, entry in external["archive"].items()
    ]
    publish(
        args.output,
        "# A real study and an external test that overlaps with it\n",
        conditions("the whole workflow once"),
        markdown(["images of the study", "images", "left out and named", "still in training"], left_out),
        *facts,
        markdown(["model", "AUROC, internal test", "AUROC, external test", "drop"], models),
    )


if __name__ == "__main__":
    main()
