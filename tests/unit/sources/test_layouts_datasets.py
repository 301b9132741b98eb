"""Every public data set is read by the lines of YAML of docs/data.md, with the true header of its table."""

import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog
from project import ROOT

TABLES = ROOT / "tests" / "support" / "public_tables"  # for each data set, a few rows of its tables below data/
BLOCKS = re.findall(r"(?:^    .*\n)+", (ROOT / "docs/data.md").read_text().partition("## Public datasets")[2], re.M)
YAML = {yaml.safe_load(block)[0]["name"]: block for block in BLOCKS if block.startswith("    - name:")}


@dataclass(frozen=True)
class Published:
    """The images of a data set below data/, and what the catalog must have: targets, and any other columns."""

    images: Iterable[str]
    target: Sequence[int]
    columns: dict[str, list[object]] = field(default_factory=dict)


DATASETS = {
    "isic2016": Published(
        [f"ISBI2016_ISIC_Part3_Training_Data/ISIC_000000{n}.jpg" for n in (0, 2)],
        [0, 1],
        {"image": ["ISIC_0000000", "ISIC_0000002"]},
    ),
    "isic2017": Published(
        # The archive has masks of superpixels beside the images.
        [f"ISIC-2017_Training_Data/ISIC_000000{n}{end}" for n in "023" for end in (".jpg", "_superpixels.png")],
        [0, 1, 0],
        {"age": [55, None, 30], "diagnosis": ["nevus", "melanoma", "seborrheic keratosis"]},
    ),
    "isic2018": Published(
        ["ISIC2018_Task3_Training_Input/ISIC_0024306.jpg", "ISIC2018_Task3_Training_Input/ISIC_0024310.jpg"],
        [0, 1],
        {"lesion": ["HAM_0000550", "HAM_0003291"]},
    ),
    "isic2019": Published(
        [
            f"ISIC_2019_Training_Input/ISIC_2019_Training_Input/ISIC_{name}.jpg"
            for name in ("0000000", "0000030_downsampled", "0053459_downsampled")
        ],
        [0, 1, 0],
        {"site": ["torso", "torso", "upper extremity"], "age": [55, 30, 60]},
    ),
    "isic2020": Published(
        ["isic2020/jpeg/train/ISIC_2637011.jpg", "isic2020/jpeg/train/ISIC_0149568.jpg"],
        [0, 1],
        {"patient": ["IP_7279968", "IP_0962375"]},
    ),
    "isic2024": Published(
        [f"isic-2024-challenge/train-image.hdf5/ISIC_{n}" for n in ("0015670", "0082829", "0096034")],
        [0, 1, 0],
        {
            "license": ["CC-BY", "CC-BY-NC", "CC-BY-NC"],
            "attribution": ["Memorial Sloan Kettering Cancer Center", "ViDIR", "ViDIR"],
        },
    ),
    "archive": Published(
        ["archive/ISIC_1.jpg", "archive/ISIC_2.jpg"],
        [0, 1],
        {"skin_type": ["2", None], "license": ["CC-0", "CC-BY"]},
    ),
    "ham10000": Published(
        ["HAM10000_images_part_1/ISIC_0027419.jpg", "HAM10000_images_part_2/ISIC_0025964.jpg"],
        [0, 1],
        {"lesion": ["HAM_0000118", "HAM_0000871"]},
    ),
    "milk10k": Published(
        [
            f"MILK10k_Training_Input/{name}.jpg"
            for name in (
                "IL_0000652/ISIC_4671410",
                "IL_0000652/ISIC_4904553",
                "IL_0003176/ISIC_8012126",
                "IL_0003177/ISIC_8012127",
            )
        ],
        [1, 1, 0, 0],
        {
            "lesion": ["IL_0000652", "IL_0000652", "IL_0003176", "IL_0003177"],
            "site": ["lower extremity", "lower extremity", "head/neck", "torso"],
            "diagnosis": ["melanoma", "melanoma", "squamous cell carcinoma", "other malignant"],
            "skin_type": ["3", "3", "5", "5"],
        },
    ),
    "bcn20000": Published(
        ["BCN20000/bcn_20k_train/BCN_0000000001.jpg", "BCN20000/bcn_20k_train/BCN_0000000003.jpg"],
        [1, 0],
        {"image": ["BCN_0000000001", "BCN_0000000003"], "lesion": ["BCN_0003884", "BCN_0000019"]},
    ),
    "pad_ufes_20": Published(
        [
            "PAD-UFES-20/images/imgs_part_1/PAT_1516_1765_530.png",
            "PAD-UFES-20/images/imgs_part_2/imgs_part_2/PAT_46_881_939.png",
            "PAD-UFES-20/images/imgs_part_3/imgs_part_3/PAT_47_882_940.png",
        ],
        [0, 1, 0],
        {"sex": [None, "female", "male"], "skin_type": [None, "3", "1"], "age": [8, 55, 85]},
    ),
    "derm7pt": Published(
        [f"release_v0/images/NEL/Nel0{n}.jpg" for n in (25, 26, 27, 28, 32, 33)],
        [0, 1, 0],
        {"site": ["torso", "head/neck", "upper extremity"], "lesion": ["1", "2", "3"]},
    ),
    "fitzpatrick17k": Published(
        [
            f"fitzpatrick17k/{name}.jpg"
            for name in (
                "5e82a45bc5d78bd24ae9202d194423f8",
                "fa2911a9b13b6f8af79cb700937cc14f",
                "d2bac3c9e4499032ca8e9b07c7d3bc40",
            )
        ],
        [0, 1, 0],
        {"skin_type": ["3", None, "5"], "diagnosis": ["other benign", "melanoma", "other malignant"]},
    ),
    "ddi": Published(["ddi/000001.png", "ddi/000002.png"], [1, 0], {"skin_type": ["56", "12"]}),
    "ph2": Published(
        [
            f"PH2Dataset/PH2 Dataset images/{name}/{name}_{kind}/{name}{end}.bmp"
            for name in ("IMD003", "IMD058")
            for kind, end in (("Dermoscopic_Image", ""), ("lesion", "_lesion"))
        ],
        [0, 1],
    ),
    "folders": Published(
        [
            "melanoma_cancer_dataset/train/benign/melanoma_0.jpg",
            "melanoma_cancer_dataset/train/malignant/melanoma_1.jpg",
            "melanoma_cancer_dataset/test/benign/melanoma_2.jpg",
            "melanoma_cancer_dataset/test/malignant/melanoma_3.jpg",
        ],
        [0, 1, 0, 1],
        {"image": ["melanoma_0", "melanoma_1", "melanoma_2", "melanoma_3"]},
    ),
}


def write_images(names: Iterable[str]) -> None:
    """Write an empty file for each image, since the catalog opens none, or a dataset of an HDF5 file."""
    for path in (Path("data") / name for name in names):
        if path.parent.suffix == ".hdf5":
            with h5py.File(path.parent, "a") as file:
                file[path.name] = np.void(b"\xff\xd8\xff")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def test_every_data_set_of_the_page_is_tested() -> None:
    assert set(YAML) == set(DATASETS)


@pytest.mark.parametrize("name", DATASETS)
def test_a_public_data_set_is_read_by_at_most_ten_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    assert len(YAML[name].splitlines()) <= 10
    monkeypatch.chdir(tmp_path)
    published = DATASETS[name]
    if (TABLES / name).exists():
        shutil.copytree(TABLES / name, "data")
    write_images(published.images)
    catalog, issues = build_catalog(Data(sources=yaml.safe_load(YAML[name])))
    assert catalog["target"].tolist() == published.target
    assert catalog["file"].isin([f"data/{path}" for path in published.images]).all()
    assert not catalog["file"].duplicated().any() and "dropped" not in set(issues["action"])
    for column, values in published.columns.items():
        cells = catalog[column].astype(object).where(catalog[column].notna(), None)
        cells = cells.str.removeprefix(f"{name}:") if column == "lesion" else cells
        assert cells.tolist() == values, column
