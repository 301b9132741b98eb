"""HAM10000 and ISIC 2019 keep their published counts of images, melanomas and lesions.

The tables have the headers, words and counts that were published (Tschandl et al. 2018, doi:10.1038/sdata.2018.161; the
page of the ISIC 2019 challenge). Which image shows which lesion is drawn.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from melanoma.config.data import Data
from melanoma.data.catalog import build_catalog

SHARES = np.random.default_rng(0)
HAM10000 = {"nv": 6705, "mel": 1113, "bkl": 1099, "bcc": 514, "akiec": 327, "vasc": 142, "df": 115}
HAM10000_SITES = ["back", "chest", "ear", "foot", "genital", "lower extremity", "scalp", "trunk", "unknown", "acral"]
ISIC2019 = {"MEL": 4522, "NV": 12875, "BCC": 3323, "AK": 867, "BKL": 2624, "DF": 239, "VASC": 253, "SCC": 628, "UNK": 0}
ISIC2019_SITES = ["anterior torso", "head/neck", "lateral torso", "palms/soles", "oral/genital", "posterior torso", ""]


def lesions(images: int, count: int, name: str) -> list[str]:
    """Return the lesion of each image: each of `count` lesions has one or more, those of one in consecutive rows."""
    numbers = np.concatenate([np.arange(count), SHARES.integers(count, size=images - count)])
    return [f"{name}_{number:07d}" for number in np.sort(numbers)]


def images(folder: Path, names: pd.Series) -> Path:
    """Create an empty file for each image; the catalog reads no pixel."""
    folder.mkdir()
    for name in names:
        (folder / f"{name}.jpg").touch()
    return folder


def counted(source: dict[str, object]) -> tuple[int, int, int]:
    """Return the numbers of images, melanomas and lesions of the catalog of one source, which drops no row."""
    catalog, problems = build_catalog(Data(sources=[{"name": "published"} | source]))
    assert "dropped" not in set(problems["action"])
    return len(catalog), int(catalog["target"].sum()), catalog["lesion"].nunique()


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_ham10000() -> None:
    diagnosis = np.repeat(list(HAM10000), list(HAM10000.values()))
    count = len(diagnosis)
    table = pd.DataFrame(
        {
            "lesion_id": lesions(count, 7470, "HAM"),
            "image_id": [f"ISIC_{24306 + n:07d}" for n in range(count)],
            "dx": diagnosis,
            "dx_type": SHARES.choice(["histo", "follow_up", "consensus", "confocal"], count),
            "age": SHARES.choice(["35.0", "80.0", ""], count),
            "sex": SHARES.choice(["male", "female", "unknown"], count),
            "localization": SHARES.choice(HAM10000_SITES, count),
            "dataset": "vidir_modern",
        }
    )
    table.to_csv("HAM10000_metadata.csv", index=False)
    source = {"layout": "ham10000", "table": "HAM10000_metadata.csv"}
    assert counted(source | {"images": str(images(Path("jpeg"), table["image_id"]))}) == (10015, 1113, 7470)


@pytest.mark.large
def test_isic2019() -> None:
    names = pd.Series([f"ISIC_{n:07d}" for n in range(sum(ISIC2019.values()))])
    names[1::12] += "_downsampled"
    truth = pd.DataFrame(np.repeat(np.eye(len(ISIC2019)), list(ISIC2019.values()), axis=0), columns=list(ISIC2019))
    truth.insert(0, "image", names)
    truth.to_csv("ISIC_2019_Training_GroundTruth.csv", index=False)
    metadata = pd.DataFrame(
        {
            "image": names,
            "age_approx": SHARES.choice(["55.0", "85.0", ""], len(names)),
            "anatom_site_general": SHARES.choice(ISIC2019_SITES, len(names)),
            # 2,084 images have no lesion.
            "lesion_id": lesions(len(names) - 2084, 11847, "BCN") + [""] * 2084,
            "sex": SHARES.choice(["male", "female", ""], len(names)),
        }
    )
    metadata.to_csv("ISIC_2019_Training_Metadata.csv", index=False)
    source = {
        "layout": "isic",
        "table": "ISIC_2019_Training_GroundTruth.csv",
        "metadata": "ISIC_2019_Training_Metadata.csv",
    }
    # The archive has the same files with and without the ending.
    shortened = images(Path("jpeg"), names.str.removesuffix("_downsampled"))
    assert counted(source | {"images": str(shortened)}) == (25331, 4522, 11847)
