"""The costs are sums of Snakemake's benchmark files. A fusion that is one of its members is named."""

from pathlib import Path

import pytest

from melanoma.config.study import resolve
from melanoma.report.training_tables import copies, costs, gpus
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


@pytest.mark.parametrize(
    ("method", "weights", "copied"),
    [
        ("weighted", {"cnn": 3.6e-17, "joint": 1.0, "mlp": 0.0}, {"blend": "joint"}),
        ("weighted", {"cnn": 0.01, "joint": 0.99}, {}),
        ("logistic", {"logit cnn": 0.0, "age": 0.7}, {}),
        ("gradient_boosting", {}, {}),
    ],
)
def test_a_fusion_with_all_weight_on_one_member_is_a_copy_of_it(
    method: str, weights: dict[str, float], copied: dict[str, str]
) -> None:
    assert copies({"blend": {"method": method, "weights": weights}}) == copied


def test_without_benchmarks_there_are_no_costs(tmp_path: Path) -> None:
    assert costs(tmp_path / "none", {}) is None


def test_the_gpus_of_a_model_count_for_its_training_and_its_prediction() -> None:
    asked = gpus(resolve(with_("models.cnn.resources.gpus", 2)))
    assert asked["cnn"] == 2 and [count for name, count in asked.items() if name.startswith("baseline_cnn-")] == [2]
