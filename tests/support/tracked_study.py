"""The results of a study that MLflow gets: a network of two seeds, a trial, predictions from elsewhere, metrics."""

from pathlib import Path

from melanoma.common.files import write_json, write_text, write_yaml
from melanoma.config.facts import training_name, training_recipe
from melanoma.config.study import Study, resolve
from minimal_config import MINIMAL

COLUMNS = "epoch,learning_rate,train_loss,validation_auroc\n"


def study(identifiers: bool = False) -> Study:
    """Return the options of the study."""
    models = {
        "cnn": {"network": "baseline_cnn", "epochs": 2, "seeds": [1, 2]},
        "theirs": {"network": "external_predictions", "file": "/home/anna_k/theirs.csv"},
    }
    return resolve(MINIMAL | {"models": models, "report": {"identifiers": identifiers}})


def start(folder: Path, identifiers: bool = False) -> Path:
    """Write the results of a study whose fold and one trial are trained, and return their folder."""
    results, options = folder / "results" / "mine", study(identifiers)
    write_yaml(results / "config/study.yaml", options.dump())
    recipe = options.models["cnn"]
    training = training_name(recipe)
    write_yaml(results / f"recipes/{training}.yaml", training_recipe(recipe))
    write_yaml(results / "tune/metadata_mlp-1/trial-2/recipe.yaml", {"network": "metadata_mlp", "epochs": 1})
    write_text(results / "tune/metadata_mlp-1/trial-2/history.csv", COLUMNS + "1,0.1,0.5,0.6\n")
    train(results, "fold-0-seed-2", "1,0.1,0.5,0.6\n2,0.05,0.4,0.75\n")
    return results


def train(results: Path, run: str, epochs: str) -> Path:
    """Write the history of a run of the network, and return the run's folder."""
    folder = results / "train" / training_name(study().models["cnn"]) / run
    write_text(folder / "history.csv", COLUMNS + epochs)
    return folder


def evaluate(results: Path, auroc: float = 0.5) -> None:
    """Write the metrics of the models on the test images and on one external test."""
    interval = {"value": auroc, "low": auroc - 0.1, "high": auroc + 0.1}
    rates = {"threshold": 0.4, "sensitivity": {"value": 0.9, "low": None, "high": None}}
    entry = {"n": 52, "unit": "patient", "auroc": interval, "thresholds": {"youden": rates}, "subgroups": {"n": 7}}
    write_json(results / "evaluate/metrics.json", {"cnn": entry, "theirs": entry})
    write_json(results / "evaluate/external.json", {"clinic (b)": {"cnn": {"n": 30, "auroc": interval}}})
    write_json(results / "fuse/selected_model.json", {"selected_model": "cnn"})
