"""The single models in a selected model."""

from melanoma.explain.members import single_models


def test_a_fusion_has_the_single_models_of_its_members_once():
    fusions = {"both": ["cnn", "tables"], "tables": ["forest", "bayes"], "all": ["both", "forest"]}
    assert single_models("all", fusions) == ["cnn", "forest", "bayes"]
    assert single_models("cnn", fusions) == ["cnn"]
