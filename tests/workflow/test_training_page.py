"""The recipes and numbers in docs/training.md and docs/tuning.md are valid."""

import re

import numpy as np
import pytest
import yaml

from melanoma.config.study import resolve
from melanoma.stats.log_odds import logit
from melanoma.training.sampling import trained_prevalence
from melanoma.training.schedules import rate_factor
from project import ROOT

TEXT = (ROOT / "docs" / "training.md").read_text()
TUNING = (ROOT / "docs" / "tuning.md").read_text()
PIECES = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", TEXT + TUNING, re.DOTALL)]


def completed(piece: dict) -> dict:
    """Return the recipe that a piece makes where nothing else is given."""
    sources = [{"name": "mine", "table": "train.csv", "images": "jpeg"}]
    models = {"model": {"network": "efficientnet_b2"} | piece}
    return resolve({"study": "mine", "data": {"sources": sources}, "models": models}).models["model"].dump()


@pytest.mark.parametrize("piece", PIECES, ids=lambda piece: " ".join(piece))
def test_every_piece_belongs_into_a_recipe(piece):
    recipe = completed(piece)
    factors = [rate_factor(recipe["schedule"], recipe["epochs"], epoch) for epoch in range(recipe["epochs"])]
    assert max(factors) == 1


def test_the_page_has_pieces_on_rates_schedules_and_imbalance():
    assert {"optimizer", "schedule", "sampling", "loss", "ema"} <= {key for piece in PIECES for key in piece}


def test_the_shares_of_the_ensembles_schedule_are_its_rates():
    recipe = completed(next(piece for piece in PIECES if piece.get("schedule", {}).get("name") == "exponential"))
    rate, schedule = recipe["optimizer"]["learning_rate"], recipe["schedule"]
    assert rate == pytest.approx(3e-6 * recipe["batch_size"])
    assert [rate * schedule[key] for key in ("warmup_start_factor", "min_lr_factor")] == pytest.approx(
        [5e-6, 1e-6], rel=0.01
    )


def test_the_shift_of_isic_2020_is_as_said():
    targets = np.repeat([0, 1], [33_126 - 584, 584])
    shift = logit(targets.mean()) - logit(
        trained_prevalence(targets, {"name": "oversample", "ratio": 1.0}, {"name": "bce"})
    )
    assert f"{-shift:.2f}" in TEXT
