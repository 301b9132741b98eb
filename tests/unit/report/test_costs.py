"""The costs are sums of Snakemake's benchmark files."""

from pathlib import Path

import pytest

from melanoma.config.study import resolve
from melanoma.report.costs import costs, gpus
from minimal_config import with_


def benchmark(path: Path, seconds: float, memory: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"s\th:m:s\tmax_rss\tcpu_time\n{seconds}\t-\t{memory}\t{seconds / 2}\n")


def test_jobs_are_summed_by_kind_and_trainings_count_their_gpus(tmp_path: Path) -> None:
    benchmark(tmp_path / "train/cnn-1a/fold-0.tsv", 3600, 100)
    benchmark(tmp_path / "train/cnn-1a/refit.tsv", 7200, 300)
    benchmark(tmp_path / "evaluate.tsv", 360, 50)
    (tmp_path / "notes.tsv").write_text("a\tb\n1\t2\n")
    table = costs(tmp_path, {"cnn-1a": 2})
    assert table is not None
    rows = {row[0]: list(row[1:]) for row in table.rows}
    assert rows["train"] == pytest.approx([2, 3, 1.5, 6, 300])
    assert rows["evaluate"] == pytest.approx([1, 0.1, 0.05, 0, 50])
    assert rows["all"] == pytest.approx([3, 3.1, 1.55, 6, 300])


def test_without_benchmarks_there_are_no_costs(tmp_path: Path) -> None:
    assert costs(tmp_path / "none", {}) is None


def test_the_gpus_of_a_model_count_for_its_training_and_its_prediction() -> None:
    asked = gpus(resolve(with_("models.cnn.resources.gpus", 2)))
    assert asked["cnn"] == 2 and [count for name, count in asked.items() if name.startswith("baseline_cnn-")] == [2]
