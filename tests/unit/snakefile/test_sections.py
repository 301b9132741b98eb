"""The sections of a configuration that are written to files."""

from melanoma.config.study import resolve
from melanoma.snakefile.sections import sections, study_sections
from melanoma.snakefile.trainings import Trainings

STUDY = {
    "study": "s",
    "data": {"sources": [{"name": "clinic", "table": "t.csv", "images": None}]},
    "models": {
        "mlp": {"network": "metadata_mlp"},
        "tuned": {"network": "metadata_mlp", "tune": {"method": "grid", "space": {"dropout": [0.1]}}},
        "logistic": {"network": "logistic_regression"},
    },
    "fusions": {"mean": {"members": ["mlp", "logistic"]}},
}


def test_each_stage_network_fusion_and_search_space_has_a_section():
    study = resolve(STUDY)
    trainings = Trainings.from_study(study)
    found = sections(study, [], trainings)
    stages = {"catalog", "images", "split", "fuse", "evaluate", "shortcuts", "robustness", "study"}
    assert set(found) == stages | {"tta-mlp", "tta-tuned", "fusion-mean", f"tune-{trainings.names['tuned']}"}
    assert found["fusion-mean"].items() >= {"members": ["mlp", "logistic"], "seed": study.fuse.seed}.items()
    assert not {"max_test_configurations", "robustness"} & set(found["evaluate"])


def test_a_large_study_is_in_sections_that_a_command_line_carries():
    study = resolve(STUDY | {"models": {f"model_{n}": {"network": "metadata_mlp"} for n in range(60)}, "fusions": {}})
    found = study_sections(study)
    assert list(found)[:2] == ["study", "study-1"]
    assert sum(len(part.get("models", {})) for part in found.values()) == 60
