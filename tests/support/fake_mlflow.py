"""A stand-in for MLflow's client, which keeps what it gets. It has MLflow's limits, and gives runs in pages of two."""

from collections import defaultdict
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any


class MlflowException(Exception):
    """An error of MLflow."""


@dataclass
class Metric:
    key: str
    value: float
    timestamp: int
    step: int


@dataclass
class Param:
    key: str
    value: str


@dataclass
class Stored:
    """A run as the server keeps it."""

    info: SimpleNamespace
    tags: dict[str, str]
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, list[Metric]] = field(default_factory=lambda: defaultdict(list))

    @property
    def data(self) -> SimpleNamespace:
        return SimpleNamespace(tags=self.tags, params=self.params)


class Page(list[Stored]):
    """Some runs, and the token of the next page."""

    token: str | None = None


STORES: dict[str, tuple[dict[str, SimpleNamespace], list[Stored]]] = {}


class MlflowClient:
    """The calls of MLflow's client that the project uses. Clients of one address see the same runs."""

    def __init__(self, tracking_uri: str) -> None:
        self.experiments, self.runs = STORES.setdefault(tracking_uri, ({}, []))

    def get_experiment_by_name(self, name: str) -> SimpleNamespace | None:
        return self.experiments.get(name)

    def create_experiment(self, name: str) -> str:
        self.experiments[name] = SimpleNamespace(experiment_id=name, lifecycle_stage="active")
        return name

    def delete_experiment(self, id_: str) -> None:
        self.experiments[id_].lifecycle_stage = "deleted"

    def create_run(self, experiment: str, start_time: int, run_name: str, tags: dict[str, str]) -> Stored:
        info = SimpleNamespace(run_id=str(len(self.runs)), run_name=run_name, start_time=start_time, status="RUNNING")
        info.end_time, info.experiment_id, info.lifecycle_stage = None, experiment, "active"
        self.runs.append(Stored(info, dict(tags)))
        return self.runs[-1]

    def search_runs(self, experiments: list[str], max_results: int = 1000, page_token: str | None = None) -> Page:
        found = [
            run for run in self.runs if run.info.experiment_id in experiments and run.info.lifecycle_stage == "active"
        ]
        start = int(page_token or 0)
        page = Page(found[start : start + 2])
        page.token = str(start + 2) if start + 2 < len(found) else None
        return page

    def log_batch(self, id_: str, metrics: list[Metric] = (), params: list[Param] = ()) -> None:  # type: ignore[assignment]
        if len(params) > 100 or len(metrics) > 1000:
            raise MlflowException("too many in one request")
        run = self.runs[int(id_)]
        run.params |= {param.key: param.value for param in params}
        for metric in metrics:
            run.metrics[metric.key].append(metric)

    def get_metric_history(self, id_: str, key: str) -> list[Metric]:
        return self.runs[int(id_)].metrics[key]

    def set_tag(self, id_: str, key: str, value: str) -> None:
        self.runs[int(id_)].tags[key] = value

    def set_terminated(self, id_: str, end_time: int) -> None:
        info = self.runs[int(id_)].info
        info.status, info.end_time = "FINISHED", end_time

    def delete_run(self, id_: str) -> None:
        self.runs[int(id_)].info.lifecycle_stage = "deleted"


def modules() -> dict[str, Any]:
    """Return the modules of MLflow that the project imports, by name."""
    parts: dict[str, dict[str, Any]] = {
        "mlflow": {"MlflowClient": MlflowClient},
        "mlflow.entities": {"Metric": Metric, "Param": Param},
        "mlflow.exceptions": {"MlflowException": MlflowException},
    }
    made = {name: ModuleType(name) for name in parts}
    for name, content in parts.items():
        vars(made[name]).update(content)
    return made
