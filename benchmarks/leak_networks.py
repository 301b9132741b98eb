"""Measures what a leak is worth to a network: the same test images, scored with and without their patients' others.

snakemake --cores 2 --configfile tests/studies/isic2020_subset.yaml -- results/isic2020_subset/split/split.parquet
python benchmarks/leak_networks.py --study results/isic2020_subset --folder leak

Each group of linked images (patients, pairs) that has several images is divided into two halves. One network is trained
on all images of other groups. Another one has a group's other half in the place of as many of them, of the same
classes, so that the two differ in nothing else. Both score the half. FOLDER keeps the weights and the scores of each
seed, and a file there is read.

With --splits, nothing is trained. The two splits are written for studies/leak_apart.yaml and studies/leak_mixed.yaml.
"""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from lite_weights import write_lite_weights
from measurement import conditions, markdown, parser, publish
from numpy.typing import NDArray

from melanoma.augment.tta import NO_TTA
from melanoma.common.files import read_parquet, write_csv, write_parquet
from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.compute.preemption import Preemption
from melanoma.config.recipe import Recipe
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.split.assign import usable_images
from melanoma.stats.bootstrap import Interval, Resampling, independent_clusters, interval
from melanoma.stats.metrics import measured
from melanoma.stats.within import WithinStrata
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.loader import Examples
from melanoma.training.predictor import TrainedNetwork, predict_rows
from melanoma.training.trainer import Run, train

RESULTS = Path(__file__).parent / "results" / "leak_networks.md"
FOLDS = 2
ARMS = ("mixed", "apart")
RECIPE = {
    "network": "timm/tf_efficientnet_lite0",
    "input_size": 96,
    "epochs": 5,
    "batch_size": 16,
    "optimizer": {"name": "adamw", "learning_rate": 5e-4},
    "schedule": {"per": "batch", "warmup_epochs": 0.5},
    "sampling": {"name": "none"},
    "augmentation": {"flip_horizontal": 0.5, "flip_vertical": 0.5, "affine": {"probability": 1.0, "rotate": 180}},
}
# A two-sided test at 5 % sees a difference of 2.8 standard errors with a power of 80 %.
STANDARD_ERRORS = 2.8


class Half(NamedTuple):
    """Test images, the other images of their groups, and training images of which some are these others."""

    test: pd.DataFrame
    others: pd.DataFrame
    mixed: pd.DataFrame


class Fold(NamedTuple):
    """The images `apart` from all groups of a fold, and the two halves of these groups' images."""

    apart: pd.DataFrame
    halves: tuple[Half, ...]


def study_images(study: Path) -> pd.DataFrame:
    """Return the images of a study with their groups, whatever its own split: the columns of training, and group."""
    usable = usable_images(
        *(read_parquet(study / path) for path in ("catalog/catalog.parquet", "images/quality.parquet"))
    )
    groups = read_parquet(study / "split" / "split.parquet", columns=["image", "group"])
    return usable[usable["role"] == "study"].merge(groups, on="image", validate="1:1")


def divided(images: pd.DataFrame, seed: int) -> Iterator[Fold]:
    """Yield the folds. Each image of a group of several is test once, in one half of one fold.

    Raises ValueError if a class has fewer images apart than a fold's half.
    """
    random = np.random.default_rng(seed)
    several = images[images.duplicated("group", keep=False)].sample(frac=1, random_state=seed)
    melanomas = several.groupby("group", sort=False)["target"].sum().sort_values(kind="stable")
    fold = several["group"].map(pd.Series(np.arange(len(melanomas)) % FOLDS, melanomas.index))
    several = several.assign(fold=fold).sort_values("group", kind="stable")
    half = np.arange(len(several)) % 2
    for number in range(FOLDS):
        inside = (several["fold"] == number).to_numpy()
        apart = images[~images["group"].isin(several.loc[inside, "group"])]
        tests = [several[inside & (half == each)].drop(columns="fold") for each in (0, 1)]
        pairs = zip(tests, reversed(tests), strict=True)
        halves = tuple(Half(test, others, with_others(apart, others, random)) for test, others in pairs)
        yield Fold(apart, halves)


def with_others(apart: pd.DataFrame, others: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Return `apart` with `others` in the places of random images of the same class."""
    taken = np.arange(len(apart))
    for target in (0, 1):
        places = np.flatnonzero(apart["target"] == target)
        added = np.flatnonzero(others["target"] == target)
        taken[random.choice(places, len(added), replace=False)] = len(apart) + added
    return pd.concat([apart, others]).iloc[taken]


def scored(images: pd.DataFrame, recipe: Recipe, store: Path) -> pd.DataFrame:
    """Train all networks of a seed; return the test images with both logits and the `network` that scored them mixed.

    `alike` says whether the other images of the group that were trained on all have the class of the image.
    """
    parts = []
    for number, fold in enumerate(divided(images, recipe.seed)):
        without = trained(fold.apart, recipe, store)
        for name, half in enumerate(fold.halves):
            share = half.test["group"].map(half.others.groupby("group")["target"].mean())
            scores = {
                "mixed": logits(trained(half.mixed, recipe, store), half.test, recipe, store),
                "apart": logits(without, half.test, recipe, store),
            }
            about = {"seed": recipe.seed, "network": 2 * number + name, "alike": share == half.test["target"]}
            parts.append(half.test[["image", "group", "target"]].assign(**about, **scores))
    return pd.concat(parts, ignore_index=True)


def trained(table: pd.DataFrame, recipe: Recipe, store: Path) -> TrainedNetwork:
    """Train as the workflow does, without validation, so the last epoch counts."""
    run = Run(recipe, table.reset_index(drop=True), None, store, recipe.epochs)
    with TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder) / "resume", run.stamp())
        network, _ = train(run, checkpoints, None, Preemption(None), Processes())
        checkpoints.clear()
    return network


def logits(network: TrainedNetwork, test: pd.DataFrame, recipe: Recipe, store: Path) -> NDArray[np.float64]:
    """Return the scores of the test images, whose labels the network does not get."""
    rows = test.drop(columns="target").assign(part="test")
    examples = Examples.of(rows, MetadataEncoder.from_dict(network["encoder"]), store, recipe.input_size)
    predictions = predict_rows(network, rows, examples, NO_TTA, torch.device("cpu"), 0, Processes())
    return predictions["logit"].to_numpy()


def areas(rows: pd.DataFrame) -> dict[str, Interval]:
    """Return the AUROC of each arm and the difference, mixed minus apart, with confidence intervals over groups.

    A melanoma is compared only with the benign images that the same networks scored.
    """
    stratum = rows["seed"].astype(str) + " " + rows["network"].astype(str)
    measures = {arm: WithinStrata(rows["target"], rows[arm], stratum) for arm in ARMS}
    resampling = Resampling(measures, rows["group"])
    replicated, left_out = resampling.replicate(2000, 1), resampling.leave_out(1)
    clusters = independent_clusters(rows["target"], rows["group"])
    values = {
        arm: (float(measured(measures[arm])["auroc"]), replicated[arm]["auroc"], left_out[arm]["auroc"]) for arm in ARMS
    }
    both = [with_leak - without for with_leak, without in zip(values["mixed"], values["apart"], strict=True)]
    of_difference = interval(both[0], both[1], both[2], 0.95, clusters).bounds
    return {arm: interval(*values[arm], 0.95, clusters).bounds for arm in ARMS} | {"difference": of_difference}


def row(name: str, rows: pd.DataFrame) -> list[str]:
    """Return a row of the table of results."""
    once = rows.drop_duplicates("image")
    counts = [len(once), once["target"].sum(), once["group"].nunique()]
    shown = [f"{each['value']:.3f} [{each['low']:.3f}, {each['high']:.3f}]" for each in areas(rows).values()]
    return [name, *map(str, counts), *shown]


def visible(difference: Interval) -> float:
    """Return the difference that would be seen with a power of 80 %, by the width of the interval of `difference`."""
    assert difference["low"] is not None and difference["high"] is not None
    return STANDARD_ERRORS * (difference["high"] - difference["low"]) / (2 * 1.96)


def saved_split(test: pd.DataFrame, train_images: pd.DataFrame) -> pd.DataFrame:
    """Return a split that split.file reads, in five folds that keep groups together."""
    parts = [test[["image"]].assign(part="test", fold=-1)]
    parts.append(train_images[["image"]].assign(part="train", fold=train_images["group"] % 5))
    return pd.concat(parts, ignore_index=True)


def write_splits(images: pd.DataFrame, folder: Path) -> None:
    """Write the two splits of the first half of the first fold: apart.csv and mixed.csv."""
    fold = next(divided(images, 1))
    for arm, train_images in (("apart", fold.apart), ("mixed", fold.halves[0].mixed)):
        write_csv(folder / f"{arm}.csv", saved_split(fold.halves[0].test, train_images))


def main() -> None:
    """Train what is missing, and publish; or write the splits."""
    options = parser(__doc__)
    options.add_argument("--study", type=Path, required=True, help="results of a study, with images and split")
    what = options.add_mutually_exclusive_group(required=True)
    what.add_argument("--folder", type=Path, help="folder of the weights and scores")
    what.add_argument("--splits", type=Path, metavar="FOLDER", help="folder of apart.csv and mixed.csv, to write")
    options.add_argument("--seeds", type=int, default=4, help="number of divisions, each with its own trainings")
    args = options.parse_args()
    images = study_images(args.study)
    if args.splits:
        write_splits(images, args.splits)
        return
    set_up_torch(1)
    args.folder.mkdir(exist_ok=True)
    weights = args.folder / "lite0.pth"
    if not weights.exists():
        write_lite_weights(0, weights)
    for seed in range(1, args.seeds + 1):
        scores = args.folder / f"seed-{seed}.parquet"
        if not scores.exists():
            recipe = Recipe.model_validate(RECIPE | {"backbone": {"weights": str(weights)}, "seed": seed})
            write_parquet(scores, scored(images, recipe, args.study / "images" / "images.h5"))
    rows = pd.concat([read_parquet(args.folder / f"seed-{seed}.parquet") for seed in range(1, args.seeds + 1)])
    publish(RESULTS, *page(images, rows))


def page(images: pd.DataFrame, rows: pd.DataFrame) -> Iterator[str]:
    """Yield the parts of the page of results."""
    fold = next(divided(images, 1))
    replaced = len(fold.halves[0].others)
    table = [
        row("all", rows),
        row("all others of its patient have its class", rows[rows["alike"]]),
        row("some have the other class", rows[~rows["alike"]]),
        *(row(f"all, seed {seed}", part) for seed, part in rows.groupby("seed")),
    ]
    yield "# What a leak is worth to a network\n"
    yield (
        f"{len(images)} images of {images['group'].nunique()} patients. {images.duplicated('group', keep=False).sum()}"
        f" images are of the {images.loc[images.duplicated('group'), 'group'].nunique()} patients with several. Each of"
        " these is test once for each seed. Two networks score it. Both have the same number of training images of each"
        f" class, {len(fold.apart)} in the first fold, with the same seed in the same order. For the one (mixed), some"
        f" of them, there {replaced}, are other images of the test's patients; for the other one (apart), none.\n"
    )
    yield (
        "AUROC among images that the same network scored, over all networks, with 95 % confidence intervals over"
        " patients. The difference is paired. An image can be in the second row for one seed and in the third row for"
        " another.\n"
    )
    yield markdown(["test images", "images", "melanomas", "patients", *ARMS, "difference"], table)
    yield (
        f"With these images and trainings, a difference of {visible(areas(rows)['difference']):.3f} would be seen with"
        " a power of 80 %, a smaller one less often.\n"
    )
    yield conditions(
        f"EfficientNet-Lite0 from ImageNet weights at {RECIPE['input_size']} px, {RECIPE['epochs']} epochs of batches"
        f" of {RECIPE['batch_size']}, the last epoch; {rows['seed'].nunique()} seeds, each with its own division into"
        f" {FOLDS} folds of two halves, {3 * FOLDS} trainings; one thread"
    )


if __name__ == "__main__":
    main()
