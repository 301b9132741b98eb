"""What the doctor reads of a profile."""

import math

import pytest

from melanoma.common.errors import InputError
from melanoma.config.study import resolve
from melanoma.doctor.profile import Job, minutes, read_profile, study_jobs


def test_a_profile_of_the_project_is_known_by_its_name():
    profile = read_profile("slurm")
    assert profile.executor == "slurm" and profile.defaults["slurm_account"] == "lab"
    assert read_profile("local").executor == "local"


def test_a_profile_is_also_a_folder_and_its_resources_may_be_a_mapping(tmp_path):
    (tmp_path / "config.yaml").write_text("executor: slurm\ndefault-resources: {slurm_account: mine}\n")
    assert read_profile(str(tmp_path)).defaults == {"slurm_account": "mine"}


def test_a_profile_that_does_not_exist_is_an_error_with_those_that_do():
    with pytest.raises(InputError, match="there are hoffman2, local, slurm"):
        read_profile("no-such-profile")


def test_the_jobs_are_those_of_the_models_that_are_trained_and_of_the_classifications():
    models = {
        "cnn": {"network": "baseline_cnn", "resources": {"gpus": 2, "threads": 8, "mem_mb": 9000, "runtime": 60}},
        "theirs": {"network": "external_predictions", "file": "theirs.csv"},
    }
    new = {"bundle": "b", "images": "i", "resources": {"gpus": 1, "threads": 4, "mem_mb": 8000, "runtime": 90}}
    data = {"sources": [{"name": "d", "generate": {}}]}
    study = resolve({"study": "s", "data": data, "models": models, "classify": {"new": new}})
    assert study_jobs(study) == [Job("model cnn", 2, 8, 9000, 60), Job("classification new", 1, 4, 8000, 90)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1-00:00:00", 1440), ("12:30:00", 750), ("30:00", 30), ("86400", 1440), ("infinite", math.inf)],
)
def test_times_of_schedulers(text, expected):
    assert minutes(text) == expected
