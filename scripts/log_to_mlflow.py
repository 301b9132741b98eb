"""Send a study to MLflow: learning curves, recipes, and the test metrics with their confidence intervals.

python scripts/log_to_mlflow.py results/isic2020 --tracking-uri http://127.0.0.1:5000

The study may still run: send it again later. Runs that are there already stay, those that changed are replaced.
"""

import argparse
import os
import re
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from melanoma.common.cli import run
from melanoma.common.errors import InputError

if TYPE_CHECKING:
    from melanoma.tracking.runs import TrackedRun

# Tags of a run in MLflow: its place in the results, and a hash of its content, which it gets when it is complete.
PLACE, CONTENT = "melanoma.place", "melanoma.content"
# What MLflow takes at most in one request.
OPTIONS, METRICS = 100, 1000
# What MLflow refuses in the name of a metric, such as the name of an external source.
NOT_ALLOWED = re.compile(r"[^\w.\-/ ]")


def describe(parser: argparse.ArgumentParser) -> None:
    """Add this script's arguments."""
    parser.add_argument("results", type=Path, help="the folder of a study, such as results/isic2020")
    parser.add_argument(
        "--tracking-uri",
        metavar="URI",
        help="MLflow's server or database, as sqlite:///mlflow.db (default: MLFLOW_TRACKING_URI, or MLflow's own)",
    )


def main(args: argparse.Namespace) -> None:
    """Send the runs of the study and tell how many there were."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # it would report to MLflow's makers that it is used
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")  # two lines for each run
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise InputError(
            f"MLflow cannot be imported ({error}); install it: python -m pip install mlflow-skinny"
        ) from error

    from melanoma.tracking.runs import tracked_runs

    study, runs = args.results.absolute().name, tracked_runs(args.results)
    try:
        client = MlflowClient(tracking_uri=args.tracking_uri)
        counts = send(client, study, runs)
    except MlflowException as error:
        raise InputError(f"MLflow took not all runs of {study}: {error}; correct this, then send it again") from error
    words = ", ".join(f"{number} {what}" for what, number in counts.items()) or "no run yet"
    print(f"experiment {study} in MLflow: {words}")


def send(client: Any, study: str, runs: list["TrackedRun"]) -> Counter[str]:
    """Send `runs` to the experiment with the name of the study; return how many are new, replaced and unchanged.

    Each run is there once afterwards. An incomplete one, of a send that was stopped, is replaced.
    """
    experiment, counts = _experiment(client, study), Counter[str]()
    earlier = _earlier(client, experiment)
    for each in runs:
        before = earlier.get(each.name, {})
        kept = next((id_ for id_, content in before.items() if content == each.digest), None)
        if kept is None:
            _create(client, experiment, each)
        counts["unchanged" if kept else "replaced" if before else "new"] += 1
        for id_ in before:
            if id_ != kept:
                client.delete_run(id_)
    return counts


def _experiment(client: Any, study: str) -> str:
    """Return the id of the experiment with the name of the study, which is made if there is none."""
    experiment = client.get_experiment_by_name(study)
    if experiment is None:
        return str(client.create_experiment(study))
    if experiment.lifecycle_stage != "active":
        raise InputError(f"the experiment {study} is deleted in MLflow; restore it there, or delete it for good")
    return str(experiment.experiment_id)


def _earlier(client: Any, experiment: str) -> dict[str, dict[str, str]]:
    """Return the hash of the content of each run that is there, by its place in the results and its id."""
    earlier: dict[str, dict[str, str]] = {}
    token = None
    while True:
        page = client.search_runs([experiment], max_results=1000, page_token=token)
        for each in page:
            tags = each.data.tags
            earlier.setdefault(tags.get(PLACE, ""), {})[each.info.run_id] = tags.get(CONTENT, "")
        token = page.token
        if not token:
            return earlier


def _create(client: Any, experiment: str, each: "TrackedRun") -> None:
    """Send a run. It gets the hash of its content last, so that what a stopped send leaves is known as incomplete."""
    from mlflow.entities import Metric, Param

    time = round(1000 * each.time)
    created = client.create_run(experiment, start_time=time, run_name=each.name, tags={**each.tags, PLACE: each.name})
    id_ = created.info.run_id
    options = [Param(key, text) for key, text in each.options.items()]
    metrics = [Metric(NOT_ALLOWED.sub("_", name), value, time, step) for name, step, value in each.metrics]
    for start in range(0, len(options), OPTIONS):
        client.log_batch(id_, params=options[start : start + OPTIONS])
    for start in range(0, len(metrics), METRICS):
        client.log_batch(id_, metrics=metrics[start : start + METRICS])
    client.set_tag(id_, CONTENT, each.digest)
    client.set_terminated(id_, end_time=time)


if __name__ == "__main__":
    run(describe, main, __doc__)
