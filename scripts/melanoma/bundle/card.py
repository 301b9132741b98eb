"""The model card of a bundle, in the format of Hugging Face: YAML, then Markdown."""

from typing import TYPE_CHECKING

import yaml

from melanoma.bundle.contents import BundleFile
from melanoma.evaluation.results import ModelMetrics

if TYPE_CHECKING:
    from melanoma.stats.bootstrap import Interval

TEMPLATE = """# {name}

A model of the study `{study}`. It gives the probability that a dermoscopic image shows a melanoma.

**Not a medical device.** Use it for research only. No clinical decision may rest on it.

## Intended use

- Ranking of dermoscopic images by the risk of melanoma, in research on data like those of the study.
- Not for: close-up photographs without a dermatoscope, lesions of nails and mucosa, children, and any population
  that the study does not have. `classify.py` warns of images whose size, sharpness, light or hair the training images
  did not have.

## Test results

On {n} images with {melanomas} melanomas{patients} that no part of the training has seen:

| metric | value | 95 % confidence interval |
|---|---|---|
{rows}

Probabilities are for a prevalence of {prevalence:.1%}, that of the training images. `--prevalence` of `classify.py`
gives those for another one.

## Contents

{models}

It reads {needs} of each image. A value may be missing; the prediction is then less sure.

| threshold | probability (not calibrated) |
|---|---|
{thresholds}

Versions: {versions}. SHA-256 of each file: `bundle.json`.
"""


def model_card(about: BundleFile, metrics: ModelMetrics) -> str:
    """Return the text of README.md, from the entry of the model in metrics.json."""
    front = {
        "library_name": "pytorch",
        "pipeline_tag": "image-classification",
        "tags": ["dermoscopy", "melanoma", *sorted(set(about["models"].values()))],
        "metrics": ["roc_auc", "average_precision", "brier_score"],
    }
    rows = [
        _row("AUROC", metrics["auroc"]),
        _row("average precision", metrics["average_precision"]),
        _row("Brier score", metrics["brier"]),
        _row("calibration error", metrics["ece"]),
    ]
    text = TEMPLATE.format(
        name=about["name"],
        study=about["study"],
        n=metrics["n"],
        melanomas=metrics["melanomas"],
        patients=f" of {metrics['units']} {metrics['unit']}s" if metrics["unit"] != "image" else "",
        rows="\n".join(rows),
        prevalence=about["prevalence"],
        models="\n".join(f"- `{name}`: {kind}" for name, kind in about["models"].items()),
        needs=", ".join(about["needs"]),
        thresholds="\n".join(f"| {rule} | {value:.4f} |" for rule, value in about["thresholds"].items()),
        versions=", ".join(f"{name} {version}" for name, version in about["versions"].items()),
    )
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n\n{text}"


def _row(label: str, metric: "Interval") -> str:
    return f"| {label} | {metric['value']:.3f} | {metric['low']:.3f} to {metric['high']:.3f} |"
