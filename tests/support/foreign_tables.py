"""Tables with headers and words that no layout knows, and image files for them."""

from pathlib import Path

import pandas as pd

from pictures import encode, smooth

ROWS = 60
KAGGLE = ["image_name", "patient_id", "sex", "age_approx", "anatom_site_general_challenge", "target"]


def foreign() -> pd.DataFrame:
    """Return a German clinic's table of ROWS images: 30 patients with two images each, every fourth with melanomas."""
    number = pd.Series(range(ROWS))
    melanoma = number // 2 % 4 == 0
    return pd.DataFrame(
        {
            "Datei": [f"IMG {n:03d}.JPG" for n in number],
            "PatID": [f"P{n // 2:02d}" for n in number],
            "Geschlecht": ["w" if n // 2 % 2 else "m" for n in number],
            "Alter": [str(30 + n // 2) for n in number],
            "Lokalisation": ["trunk" if n % 2 else "face" for n in number],
            "Dignität": ["malignant" if m else "benign" for m in melanoma],
        }
    )


def kaggle() -> pd.DataFrame:
    """Return the same table with the columns and words of layout kaggle."""
    table = foreign().set_axis(KAGGLE, axis=1)
    return table.replace({"target": {"malignant": "1", "benign": "0"}, "sex": {"m": "male", "w": "female"}})


def write(table: pd.DataFrame, path: Path = Path("clinic.csv")) -> str:
    """Write a table as CSV and return its path."""
    table.to_csv(path, index=False)
    return str(path)


def write_images(names: list[str], folder: Path = Path("jpeg")) -> str:
    """Write a small image for each name of a file and return the folder."""
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(encode(smooth(32, 32, number)))
    return str(folder)
