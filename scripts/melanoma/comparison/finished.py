"""A finished study as it is compared: its options, its models, and the test predictions with labels."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from melanoma.common.errors import InputError
from melanoma.common.files import read_json, read_yaml
from melanoma.config.study import Evaluate
from melanoma.predictions.table import join_labels, read_labels, read_predictions
from melanoma.predictions.test_access_log import Access, append, read_access_log, test_digest


@dataclass(frozen=True)
class Finished:
    """The results of one study. `test` has the labeled test predictions of each model, sorted by its name."""

    folder: Path
    options: dict[str, Any]
    selected_model: str
    test: dict[str, pd.DataFrame]

    @property
    def name(self) -> str:
        """The name of the study."""
        return str(self.options["study"])

    @property
    def evaluate(self) -> Evaluate:
        """The section evaluate of the study."""
        return Evaluate.model_validate(self.options["evaluate"])


def read_finished(folder: Path) -> Finished:
    """Read the results of a study, and add a line to its test-set access log, because the test labels are read.

    Raises InputError if the study is not finished.
    """
    needed = ["config/study.yaml", "evaluate/metrics.json", "fuse/selected_model.json", "split/test_labels.parquet"]
    missing = [name for name in needed if not (folder / name).is_file()]
    if missing:
        raise InputError(
            f"{folder}: no {', no '.join(missing)}; expected the results of a finished study, as results/demo. Run the"
            " study to its report first"
        )
    models = sorted(read_json(folder / "evaluate/metrics.json"))
    labels = read_labels(folder / "split/test_labels.parquet")
    test_access_log = folder / "test_access_log.jsonl"
    configuration = _configuration(read_access_log(test_access_log))
    append(
        test_access_log, Access(reader="compare", test=test_digest(labels), configuration=configuration, models=models)
    )
    return Finished(
        folder,
        read_yaml(folder / "config/study.yaml"),
        read_json(folder / "fuse/selected_model.json")["selected_model"],
        {model: join_labels(_test_rows(folder, model), labels, model) for model in models},
    )


def _configuration(accesses: list[Access]) -> str | None:
    """Return the configuration of the study's newest results: a comparison of these evaluates no other one."""
    evaluations = [access for access in accesses if access.get("reader") == "evaluate"]
    return evaluations[-1].get("configuration") if evaluations else None


def _test_rows(folder: Path, model: str) -> pd.DataFrame:
    stages = (folder / stage / f"{model}.parquet" for stage in ("predict", "fuse"))
    path = next((each for each in stages if each.is_file()), None)
    if path is None:
        raise InputError(f"{folder}: no predictions of {model}, which is in evaluate/metrics.json; run the study again")
    predictions = read_predictions(path)
    return predictions[predictions["part"] == "test"]
