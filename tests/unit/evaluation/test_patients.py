"""A patient is found by a melanoma, not by another image; a lesion has the mean of its images."""

import pandas as pd

from labeled_predictions import QUICK
from melanoma.evaluation.decisions import Decisions
from melanoma.evaluation.patients import lesion_metrics, patient_metrics

# At .5: the melanoma of a is missed, though a's other image is called one. One of b's two is found. d is a false alarm.
ROWS = pd.DataFrame(
    [
        ("a", "a1", 1, 0.2),
        ("a", "a2", 0, 0.9),
        ("b", "b1", 1, 0.8),
        ("b", "b2", 1, 0.1),
        ("c", "c1", 0, 0.3),
        ("c", "c1", 0, 0.4),
        ("d", "d1", 0, 0.7),
        ("d", "d1", 0, 0.1),
    ],
    columns=["patient", "lesion", "target", "probability"],
)
TABLE = ROWS.assign(image=[f"image-{number}" for number in ROWS.index])
DECIDED = Decisions({"given": 0.5})


def test_patients() -> None:
    made = patient_metrics(TABLE, DECIDED, QUICK)
    assert made is not None
    assert (made["n"], made["melanomas"]) == (4, 2)
    assert made["auroc"]["value"] == 1  # the highest probabilities: .9 and .8 with a melanoma, .4 and .7 without
    rates = made["thresholds"]["given"]
    assert (rates["sensitivity"]["value"], rates["specificity"]["value"]) == (1 / 2, 1 / 2)


def test_unknown_patients_have_no_metrics() -> None:
    assert patient_metrics(TABLE.assign(patient=None), DECIDED, QUICK) is None


def test_lesions() -> None:
    made = lesion_metrics(TABLE, DECIDED, QUICK)
    assert made is not None
    assert (made["n"], made["melanomas"]) == (6, 3)
    assert made["auroc"]["value"] == 2 / 9  # melanomas .2, .8 and .1 against .9, .35 and .4
    rates = made["thresholds"]["given"]
    assert (rates["sensitivity"]["value"], rates["specificity"]["value"]) == (1 / 3, 2 / 3)


def test_lesions_of_one_image_each_are_not_evaluated() -> None:
    assert lesion_metrics(TABLE.assign(lesion=TABLE["image"]), DECIDED, QUICK) is None
