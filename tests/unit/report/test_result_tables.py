"""The tables of results say what the files of the evaluation hold."""

import pytest

from melanoma.report.result_tables import baseline

INPUTS = ["age, sex and site", "and images per patient", "and image size"]


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (1, "age, sex and site"),
        (2, "age, sex, site and images per patient"),
        (3, "age, sex, site, images per patient and image size"),
    ],
)
def test_the_inputs_of_the_baseline_are_one_list(known: int, words: str) -> None:
    areas = {inputs: {"value": 0.1 * place, "low": None, "high": None} for place, inputs in enumerate(INPUTS[:known])}
    found = baseline({"test": {"baselines": areas}}, "cnn")  # type: ignore[dict-item, typeddict-item]
    assert found == {"inputs": words, "auroc": areas[INPUTS[known - 1]], "beyond": None}


def test_a_baseline_of_one_input_is_named_by_it_alone() -> None:
    area = {"value": 0.6, "low": None, "high": None}
    found = baseline({"test": {"baselines": {"image size": area}}}, "cnn")  # type: ignore[dict-item, typeddict-item]
    assert found == {"inputs": "image size", "auroc": area, "beyond": None}
