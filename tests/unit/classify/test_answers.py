"""The columns of an answer that say how sure it is."""

import numpy as np
import pandas as pd
import pytest

import tiny
from melanoma.bundle.model import BundledModel
from melanoma.classify.answers import answers
from melanoma.classify.chunks import Outputs
from melanoma.config.augmentation import TTA
from melanoma.training.saved_network import NetworkModel

ABOUT = {"name": "cnn", "files": {}, "models": {"cnn": "network"}, "calibrator": None, "training_images": {}}
VIEWS = np.array([0.02, 0.3, 0.1])


@pytest.mark.parametrize(("runs", "given"), [(["refit"], "view_deviation"), (["fold-0", "fold-1"], "deviation")])
def test_one_training_has_a_deviation_over_views_and_several_have_one_over_trainings(runs, given):
    trained = {"recipe": tiny.recipe().dump(), "trained_prevalence": 0.5}
    network = NetworkModel(TTA(name="flips"), runs, dict.fromkeys(runs, trained), dict.fromkeys(runs, 0))
    bundle = BundledModel(ABOUT | {"thresholds": {"youden": 0.5}}, {"cnn": network}, {}, {}, {})
    images = pd.DataFrame({"image": ["a", "b", "c"], "file": ["a.jpg", "b.jpg", "c.jpg"], "patient": None})
    images = images.assign(age=np.nan, sex=None, site=None)
    quality = images.assign(readable=True, problem=None, width=60, height=40)
    logits = {("cnn", run): np.array([0.0, 1.0, -1.0]) + number for number, run in enumerate(runs)}
    found = answers(bundle, Outputs(quality, logits, dict.fromkeys(logits, VIEWS), None), images, "youden")
    expected = {"view_deviation": VIEWS, "deviation": np.full(3, 0.5**0.5)}
    for name, values in expected.items():
        assert found[name].isna().all() if name != given else found[name].to_numpy() == pytest.approx(values)
