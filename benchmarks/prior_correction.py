"""Means of members with and without prior correction: in a simulated study and in finished studies.

python benchmarks/prior_correction.py --fusion demo:cnn,logistic=results/demo

A finished study is evaluated out of fold. A simulated member sees the class with noise of its own.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from measurement import ROOT, conditions, markdown, parser, publish

from melanoma.fusion.priors import corrected, prior_shifts
from melanoma.fusion.rules import plain_mean
from melanoma.predictions.table import read_predictions
from melanoma.stats.log_odds import logit, sigmoid
from melanoma.stats.metrics import Calibration, auroc, measured

Members = dict[str, pd.DataFrame]
RESULTS = ROOT / "benchmarks" / "results" / "prior_correction.md"
HEADER = ["study", "prediction", "AUROC", "calibration error (ECE)", "log loss"]


def simulated(images: int = 20_000, prevalence: float = 0.11) -> tuple[Members, pd.DataFrame]:
    """Return calibrated members of a training at the prevalence of the study and at .5, and the labels."""
    draw = np.random.default_rng(1)
    target = (draw.random(images) < prevalence).astype(np.int8)
    train = pd.DataFrame({"image": np.arange(images).astype(str), "target": target})
    members = {}
    for name, trained, separation in (("at .11", target.mean(), 1.6), ("at .5", 0.5, 1.3)):
        score = separation * (target - 0.5) + draw.normal(size=images)
        log_odds = separation * score + logit(trained)
        rows = train[["image"]].assign(part="train", fold=0, logit=log_odds, probability=sigmoid(log_odds))
        members[name] = rows.assign(trained_prevalence=trained)
    return members, train


def finished(folder: Path, names: list[str]) -> tuple[Members, pd.DataFrame]:
    """Return the out-of-fold predictions of models of a finished study, and its training images."""
    members = {name: read_predictions(folder / "predict" / f"{name}.parquet") for name in names}
    return {name: rows[rows["part"] == "train"] for name, rows in members.items()}, pd.read_parquet(
        folder / "split" / "train.parquet"
    )


def rows_of(study: str, members: Members, train: pd.DataFrame) -> list[list[str]]:
    """Return a row for each member and for each mean, with and without correction."""
    first = next(iter(members.values()))
    target = first["image"].map(train.set_index("image")["target"]).to_numpy(int)
    shifts = prior_shifts(members, train)
    scored = {
        f"{name} ({rows['trained_prevalence'].mean():.3f})": rows["probability"].to_numpy()
        for name, rows in members.items()
    }
    for method in ("mean", "logit_mean"):
        scored[f"{method}, without correction"] = plain_mean(members, method)
        scored[f"{method}, with correction"] = plain_mean(corrected(members, shifts), method)
    return [[study, name, *figures(target, probability)] for name, probability in scored.items()]


def figures(target: np.ndarray, probability: np.ndarray) -> list[str]:
    """Return AUROC, expected calibration error and log loss."""
    errors = measured(Calibration(target, probability))
    return [f"{float(value):.4f}" for value in (auroc(target, probability), errors["ece"], errors["log_loss"])]


def main() -> None:
    """Write the table."""
    options = parser(__doc__)
    options.add_argument("--fusion", nargs="*", default=[], metavar="STUDY:MODEL,MODEL=FOLDER")
    args = options.parse_args()
    table = rows_of("simulated", *simulated())
    for text in args.fusion:
        title, _, folder = text.partition("=")
        study, _, names = title.partition(":")
        table += rows_of(study, *finished(Path(folder), names.split(",")))
    how = "out-of-fold predictions; trained prevalence in parentheses"
    publish(RESULTS, "# Prior correction of the members of a mean\n", markdown(HEADER, table), conditions(how))


if __name__ == "__main__":
    main()
