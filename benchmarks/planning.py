"""Planning, catalog, split and leakage gate on tables of any size: seconds and peak memory.

python benchmarks/planning.py        writes results/planning.md; needs 3 GB of disk for 400,000 empty image files
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from conditions import conditions, markdown

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))
from melanoma.files import write_text, write_yaml
from melanoma.study import resolve

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results" / "planning.md"
PARTS = ("Snakefile", "config.yaml", "rules", "scripts", "schemas", "studies", "envs", "report")
SIZES = (1_000, 33_126, 400_000)
REPEATS = 3
LIMITS = {"planning": 1.3, "seconds": 60, "GB": 4}


def simulate(images: int, patients: int, seed: int) -> pd.DataFrame:
    """Draw a table in Kaggle's layout: patients with few and with many images, 2 % melanomas, values missing."""
    random = np.random.default_rng(seed)
    weight = random.gamma(0.6, size=patients)
    patient = np.concatenate([np.arange(patients), random.choice(patients, images - patients, p=weight / weight.sum())])
    target = (random.random(images) < 0.02).astype(int)
    return pd.DataFrame(
        {
            "image_name": [f"ISIC_{number:07d}" for number in random.permutation(images)],
            "patient_id": [f"IP_{number:07d}" for number in patient],
            "sex": random.choice(["male", "female", ""], images, p=[0.5, 0.49, 0.01]),
            "age_approx": random.integers(2, 18, images) * 5.0,
            "anatom_site_general_challenge": random.choice(["torso", "lower extremity", "head/neck", ""], images),
            "diagnosis": np.where(target, "melanoma", "nevus"),
            "benign_malignant": np.where(target, "malignant", "benign"),
            "target": target,
        }
    )


def set_up(folder: Path, images: int) -> None:
    """Copy the project and put tables of that many images where studies/isic2020.yaml looks for them."""
    for part in PARTS:
        source = ROOT / part
        (shutil.copytree if source.is_dir() else shutil.copy)(source, folder / part)
    data = folder / "data" / "isic2020"
    (data / "jpeg" / "train").mkdir(parents=True)
    rows = simulate(images, max(images // 8, 50), seed=1)
    rows.to_csv(data / "train.csv", index=False)
    pairs = np.random.default_rng(2).choice(rows["image_name"], (images // 80, 2), replace=False)
    pairs = pd.DataFrame(pairs, columns=["image_name_1", "image_name_2"])
    pairs.to_csv(data / "ISIC_2020_Training_Duplicates.csv", index=False)


def measure(command: list[object], folder: Path) -> tuple[float, float]:
    """Run a command; return its wall seconds and its peak memory in GB."""
    start = time.perf_counter()
    process = subprocess.Popen([str(word) for word in command], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(map(str, command))} failed in {folder}")
    return time.perf_counter() - start, usage.ru_maxrss * 1024 / 1e9


def planning(folders: dict[int, Path]) -> str:
    """Time `snakemake -n` on each catalog, the sizes in turn so that all meet the same machine."""
    snakemake = Path(sys.executable).with_name("snakemake")
    command = [snakemake, "-n", "--quiet", "all", "--configfile", "studies/isic2020.yaml"]
    for folder in folders.values():
        measure(command, folder)
    seconds = {images: [] for images in folders}
    for _ in range(REPEATS):
        for images, folder in folders.items():
            seconds[images].append(measure(command, folder)[0])
    median = {images: statistics.median(times) for images, times in seconds.items()}
    rows = [[f"{images:,}", f"{value:.2f}", f"{value / median[SIZES[0]]:.2f}"] for images, value in median.items()]
    ratio = median[SIZES[-1]] / median[SIZES[0]]
    verdict = f"From first to last: {ratio:.2f}x (limit {LIMITS['planning']}x).\n"
    return markdown(["images in the catalog", "snakemake -n, s", "ratio"], rows) + "\n" + verdict


def stages(folder: Path, images: int) -> str:
    """Run catalog, split and gate on the largest table, with image files that are empty and a made-up quality table."""
    data = folder / "data" / "isic2020"
    names = pd.read_csv(data / "train.csv", usecols=["image_name"])["image_name"]
    for name in names:
        (data / "jpeg" / "train" / f"{name}.jpg").touch()
    random = np.random.default_rng(3)
    width = random.choice([6000, 1872, 640], images)
    quality = {"image": names, "readable": True, "width": width, "height": width * 2 // 3, "sha256": names}
    pd.DataFrame(quality).to_parquet(folder / "quality.parquet")
    near = pd.DataFrame(random.choice(names, (500, 2)), columns=["image_1", "image_2"])
    near.to_csv(folder / "near_duplicates.csv", index=False)
    write_settings(folder)
    known = ["--settings", "split.yaml", "--quality", "quality.parquet", "--near-duplicates", "near_duplicates.csv"]
    tables = [word for name in ("train", "test", "left-out") for word in (f"--{name}", name)]
    labels = ["--test-labels", "test-labels"]
    catalog = ["--settings", "catalog.yaml", "--output", "catalog.parquet", "--problems", "problems.csv"]
    commands = {
        "catalog": ["catalog.py", *catalog],
        "split": ["split.py", *known, *tables, *labels, "--catalog", "catalog.parquet", "--split", "split.parquet"],
        "leakage": ["leakage.py", *known, *tables, "--output", "leakage.json"],
    }
    runs = {
        name: [measure([sys.executable, folder / "scripts" / script, *words], folder) for _ in range(REPEATS)]
        for name, (script, *words) in commands.items()
    }
    seconds = {name: statistics.median(each[0] for each in found) for name, found in runs.items()}
    memory = {name: max(each[1] for each in found) for name, found in runs.items()}
    rows = [[name, f"{seconds[name]:.1f}", f"{memory[name]:.2f}"] for name in runs]
    both = seconds["catalog"] + seconds["split"]
    rows.append(["catalog + split", f"{both:.1f}", f"{max(memory['catalog'], memory['split']):.2f}"])
    verdict = f"Limits for catalog + split: {LIMITS['seconds']} s and {LIMITS['GB']} GB.\n"
    return markdown([f"{images:,} images, {images // 8:,} patients", "s", "peak GB"], rows) + "\n" + verdict


def write_settings(folder: Path) -> None:
    """Write the settings files that the workflow would write, with the defaults of the schema filled in."""
    config = resolve(yaml.safe_load((ROOT / "studies" / "isic2020.yaml").read_text()))
    write_yaml(folder / "catalog.yaml", {key: config["data"][key] for key in ("on_bad_row", "sources")})
    write_yaml(folder / "split.yaml", config["split"])


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory() as temporary:
        folders = {images: Path(temporary, str(images)) for images in SIZES}
        for images, folder in folders.items():
            folder.mkdir()
            set_up(folder, images)
        parts = [planning(folders), stages(folders[SIZES[-1]], SIZES[-1])]
    how = f"medians of {REPEATS} runs, each a process of its own"
    write_text(RESULTS, "# Planning, catalog and split\n\n" + "\n".join([*parts, conditions(how)]))
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
