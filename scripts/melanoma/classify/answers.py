"""The answer for each image: probability, decision, conformal set, rank within the patient, and warnings."""

import numpy as np
import pandas as pd

from melanoma.bundle.model import BundledModel
from melanoma.classify.chunks import Outputs
from melanoma.common.errors import InputError
from melanoma.predictions.aggregate import aggregated
from melanoma.predictions.patient_context import patient_distance, patients_of_part

# What a measure outside the range of the training images means, below and above it.
MEANINGS = {
    "width": ("narrower than the training images", "wider than the training images"),
    "height": ("less high than the training images", "higher than the training images"),
    "sharpness": ("blurred", "sharper or noisier than the training images"),
    "exposure": ("dark", "bright"),
    "border_fraction": ("no dark border", "large dark border"),
    "hair": ("less hair than the training images", "much hair"),
    "redness": ("greener than the training images", "redder than the training images"),
    "yellowness": ("bluer than the training images", "yellower than the training images"),
}
FAR = "unlike all training images, so perhaps no dermoscopic image of a lesion"


def member_predictions(bundle: BundledModel, outputs: Outputs, table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Return the predictions of each network for the readable images of `table` (image, patient), in its order."""
    rows = table[["image", "patient"]].assign(part="test", fold=np.int8(-1), source=None)
    result = {}
    for name, network in bundle.networks.items():
        runs = {}
        for run in network.test_runs:
            logits = outputs.logits[name, run]
            vectors = None if outputs.embeddings is None else outputs.embeddings.get((name, run))
            runs[run] = rows.assign(
                logit=logits,
                probability=1 / (1 + np.exp(-logits)),
                trained_prevalence=network.runs[run]["trained_prevalence"],
                patient_distance=np.nan if vectors is None else patient_distance(vectors, patients_of_part(rows)),
            )
        result[name] = aggregated(runs, pd.DataFrame({"image": [], "target": []}))
    return result


def answers(
    bundle: BundledModel,
    outputs: Outputs,
    table: pd.DataFrame,
    rule: str,
    prevalence: float | None = None,
    error_rate: float | None = None,
) -> pd.DataFrame:
    """Return one row for each image of `table` (image, file, patient, age, sex, site), in its order.

    Columns: image; file; patient; probability, calibrated; logit, not calibrated; decision by the threshold `rule`;
    conformal, the classes that are not excluded at `error_rate`; rank within the patient, 1 for the highest
    probability; deviation, the standard deviation of the logit over members or trainings; view_deviation, that of the
    probability over the views of a single training; warnings; problem. An unreadable image has a problem and nothing
    else; one that shows no lesion has one, too. Raises InputError if the bundle has no such rule.
    """
    threshold = bundle.threshold(rule)
    quality = outputs.quality
    readable = quality["readable"].to_numpy(bool)
    known = table.assign(width=quality["width"].to_numpy(), height=quality["height"].to_numpy())
    known = known[readable].reset_index(drop=True)
    members = bundle.predict_members(member_predictions(bundle, outputs, known), known, outputs.embeddings)
    predictions = members[bundle.about["name"]]
    raw = predictions["probability"].to_numpy(np.float64)
    probability = bundle.calibrated(raw, prevalence)
    own = known.assign(
        probability=probability,
        logit=predictions["logit"].to_numpy(np.float64),
        decision=np.where(raw >= threshold, "melanoma", "benign"),
        rank=pd.Series(probability).groupby(known["patient"]).rank(method="min", ascending=False).astype("Int64"),
        deviation=_deviation(bundle, outputs, members),
        view_deviation=_view_deviation(bundle, outputs, len(known)),
        warnings=_warnings(bundle, quality[readable].reset_index(drop=True), known),
    )
    if error_rate is not None:
        own["conformal"] = bundle.conformal_classes(bundle.calibrated(raw), error_rate)
    columns = [name for name in own if name not in known]
    result = table[["image", "file", "patient"]].merge(own[["image", *columns]], on="image", how="left")
    return result.assign(problem=quality["problem"].to_numpy())


def kaggle_submission(result: pd.DataFrame) -> pd.DataFrame:
    """Return the two columns of a submission to Kaggle. Raises InputError if an image has no probability."""
    missing = result.loc[result["probability"].isna(), "file"].tolist()
    if missing:
        raise InputError(f"A submission needs every image, and these are unreadable: {', '.join(missing[:5])}")
    return pd.DataFrame({"image_name": result["image"], "target": result["probability"]})


def _deviation(bundle: BundledModel, outputs: Outputs, members: dict[str, pd.DataFrame]) -> np.ndarray:
    """Return the standard deviation of the logit, (n,): of a fusion over its members, of a network over its trainings.

    It is NaN for a model that is a single training.
    """
    name = bundle.about["name"]
    if name in bundle.fusions:
        logits = [members[member]["logit"].to_numpy(np.float64) for member in bundle.fusions[name].members]
    else:
        logits = [run for (network, _), run in outputs.logits.items() if network == name]
    return np.std(logits, axis=0, ddof=1) if len(logits) > 1 else np.full(len(members[name]), np.nan)


def _view_deviation(bundle: BundledModel, outputs: Outputs, images: int) -> np.ndarray:
    """Return the standard deviation of the probability, not calibrated, over the views of the images: (images,).

    It is NaN for a model that is not a single training of a network with test-time augmentation.
    """
    name = bundle.about["name"]
    found = [deviation for (network, _), deviation in outputs.view_deviation.items() if network == name]
    return found[0] if len(found) == 1 else np.full(images, np.nan)


def _warnings(bundle: BundledModel, quality: pd.DataFrame, known: pd.DataFrame) -> list[str]:
    """Return for each image what the training images did not have, and which column that a model reads is empty."""
    found: list[list[str]] = [[] for _ in range(len(known))]
    for measure, limits in bundle.about["training_images"].items():
        values = quality[measure].to_numpy(np.float64)
        for meaning, outside in zip(MEANINGS[measure], (values < limits["low"], values > limits["high"]), strict=True):
            for index in np.flatnonzero(outside):
                found[index].append(meaning)
    if bundle.reference is not None:
        for index in np.flatnonzero(quality["distance"].to_numpy(np.float64) > bundle.reference.limit):
            found[index].append(FAR)
    for column in bundle.columns_read:
        for index in np.flatnonzero(known[column].isna()):
            found[index].append(f"no {column}")
    return ["; ".join(words) for words in found]
