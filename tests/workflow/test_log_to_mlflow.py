"""MLflow gets each run of a study once, with its curves, options and metrics, however often the study is sent."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import fake_mlflow
import log_to_mlflow
import tracked_study
from in_process import call
from melanoma.common.errors import InputError

FOLD = "fold-0-seed-2"


# The same holds for MLflow itself, where it is installed, and for the stand-in.
@pytest.fixture(params=["fake", *(["real"] if find_spec("mlflow") else [])])
def uri(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The address of an empty MLflow."""
    if request.param == "fake":
        for name, module in fake_mlflow.modules().items():
            monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")  # a folder in the place of a server
    return (tmp_path / "mlflow").as_uri()


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri=uri)


def stored(uri: str) -> dict[str, Any]:
    """Return the runs that MLflow shows, by name. Each name is there once."""
    there = client(uri)
    found, token = [], None
    while True:
        page = there.search_runs([there.get_experiment_by_name("mine").experiment_id], page_token=token)
        found += page
        token = page.token
        if not token:
            break
    names = [run.info.run_name for run in found]
    assert len(set(names)) == len(names)
    return dict(zip(names, found, strict=True))


def values(uri: str, run: Any, metric: str) -> list[tuple[int, float]]:
    history = client(uri).get_metric_history(run.info.run_id, metric)
    return sorted((point.step, point.value) for point in history)


def send(uri: str, results: Path) -> None:
    call(log_to_mlflow, results, "--tracking-uri", uri)


def test_mlflow_has_the_curves_the_recipe_and_the_metrics(uri: str, tmp_path: Path) -> None:
    results = tracked_study.start(tmp_path)
    tracked_study.evaluate(results)
    history = tracked_study.train(results, FOLD, "1,0.1,0.5,0.6\n2,0.05,0.4,0.75\n") / "history.csv"
    os.utime(history, (1000, 1000))
    send(uri, results)
    runs = stored(uri)
    training = runs[str(history.parent.relative_to(results))]
    assert values(uri, training, "validation_auroc") == [(1, 0.6), (2, 0.75)]
    assert (training.data.params["network"], training.data.params["seed"]) == ("baseline_cnn", "2")
    assert (training.info.status, training.info.start_time, training.info.end_time) == ("FINISHED", 10**6, 10**6)
    model = runs["evaluate/cnn"]
    assert [values(uri, model, name) for name in ("auroc", "auroc_low")] == [[(0, 0.5)], [(0, 0.4)]]
    assert values(uri, model, "external/clinic _b_/n") == [(0, 30)]
    assert len(model.data.params) > 100 and model.data.tags["selected"] == "yes"


def test_a_study_that_is_sent_again_has_no_run_twice(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tracked_study.start(tmp_path)
    send(uri, results)
    first = stored(uri)
    send(uri, results)
    assert [run.info.run_id for run in stored(uri).values()] == [run.info.run_id for run in first.values()]
    tracked_study.train(results, "fold-1-seed-2", "1,0.1,0.5,0.7\n")
    tracked_study.evaluate(results)
    send(uri, results)
    assert set(stored(uri)) > set(first)
    tracked_study.evaluate(results, auroc=0.7)
    send(uri, results)
    assert values(uri, stored(uri)["evaluate/cnn"], "auroc") == [(0, 0.7)]
    assert capsys.readouterr().out.splitlines() == [
        "experiment mine in MLflow: 2 new",
        "experiment mine in MLflow: 2 unchanged",
        "experiment mine in MLflow: 2 unchanged, 3 new",
        "experiment mine in MLflow: 3 unchanged, 2 replaced",
    ]


def test_a_send_that_was_stopped_is_completed_by_the_next(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tracked_study.start(tmp_path)

    def killed(self: object, *args: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(type(client(uri)), "set_tag", killed)
        send(uri, results)
    assert [run.info.status for run in stored(uri).values()] == ["RUNNING"]
    send(uri, results)
    assert [run.info.status for run in stored(uri).values()] == ["FINISHED"] * 2


def test_a_deleted_experiment_is_left_alone(uri: str, tmp_path: Path) -> None:
    there = client(uri)
    there.delete_experiment(there.create_experiment("mine"))
    with pytest.raises(InputError, match="the experiment mine is deleted in MLflow; restore it"):
        send(uri, tracked_study.start(tmp_path))


def test_without_mlflow_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match="python -m pip install mlflow-skinny"):
        call(log_to_mlflow, tracked_study.start(tmp_path))
