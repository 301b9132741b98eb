"""The resource plan: the jobs are Snakemake's own, and each figure follows from the table of unit costs."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from melanoma.costs import (
    Study,
    baseline_gflops,
    epoch_images,
    gpu_speed,
    job_bytes,
    job_hours,
    loader_speed,
    runs_needed,
    training_speed,
)
from melanoma.dag import Job, local_rules, parse_dry_run
from melanoma.errors import InputError
from melanoma.flops import count
from melanoma.plan import critical_path, in_order, make_plan, markdown
from melanoma.sampling import epoch_order
from melanoma.study import resolve
from workflow import clone, jobs, put_kaggle_tables, snakemake

ROOT = Path(__file__).parents[1]
WHOLE = ROOT / "studies" / "isic2020.yaml"
ISIC_2020 = 33126
PRINTED = """
rule write_settings:
    output: results/s/config/split.yaml
    jobid: 3
    reason: Forced execution
    resources: tmpdir=/tmp, runtime=5, gpu=0, mem_mb=500
rule train_fold:
    input: scripts/train.py, results/s/config/split.yaml
    output: results/s/train/m/fold-0/weights.pt, results/s/train/m/fold-0/history.csv
    jobid: 2
    reason: Forced execution
    wildcards: model=m, fold=0
    threads: 8
    resources: tmpdir=/tmp, runtime=720, gpu=4, nodes=2, mem_mb=<TBD>
rule all:
    input: results/s/train/m/fold-0/weights.pt
    jobid: 0
    reason: Forced execution
"""


def study(images: int = ISIC_2020, config: Path = WHOLE, **options: object) -> Study:
    return Study(
        resolve(yaml.safe_load(config.read_text())), images, options.pop("prevalence", 584 / ISIC_2020), **options
    )


def one_model(**recipe: object) -> Study:
    """A study of one model, `m`."""
    source = {"name": "a", "table": "a.csv", "images": "a"}
    return Study(resolve({"study": "s", "data": {"sources": [source]}, "models": {"m": recipe}}), ISIC_2020, 0.02)


FOLD = Job(1, "train_fold", {"model": "m", "fold": "0"}, threads=8, gpus=1, runtime=1440)
REFIT = Job(2, "train_refit", {"model": "m"}, threads=8, gpus=1, runtime=1440)
# One worker imports torch.
on_torch = pytest.mark.xdist_group("torch")
ON_A_GPU = {"gpus": 1, "threads": 64}


def test_a_dry_run_is_read_with_what_each_job_asks_for_and_needs():
    assert parse_dry_run(PRINTED, {"write_settings"}) == [
        Job(3, "write_settings", local=True, runtime=5, memory=500),
        Job(
            2, "train_fold", {"model": "m", "fold": "0"}, threads=8, gpus=4, nodes=2, runtime=720, needs=frozenset({3})
        ),
    ]


def test_the_rules_that_run_on_the_login_node_are_read_from_the_rules():
    assert {"write_settings", "write_recipe"} <= local_rules()
    assert not local_rules() & {"train_fold", "prepare_shard"}


def test_the_plan_of_isic_2020_has_the_jobs_that_snakemake_counts_and_the_scheduler_adds_less_than_one_percent(
    tmp_path,
):
    put_kaggle_tables(clone(tmp_path))
    printed = snakemake(tmp_path, "-n", "--forceall", "--cores", 64, "--configfile", "studies/isic2020.yaml")
    counted = jobs(printed)
    plan = make_plan(parse_dry_run(printed, local_rules()), study(), limit_hours=24)
    planned = pd.DataFrame([vars(row) for row in plan.rows]).groupby("stage")["jobs"].sum().to_dict()
    fetched = sum(number for rule, number in counted.items() if rule.startswith("fetch_"))
    assert planned.pop("fetch", 0) == fetched
    assert planned == {rule: n for rule, n in counted.items() if rule != "all" and not rule.startswith("fetch_")}
    assert plan.local_jobs == counted["write_settings"] + counted["write_recipe"] + fetched
    assert plan.scheduler_jobs + plan.local_jobs == sum(counted.values()) - 1
    assert plan.scheduler_jobs < 150
    assert 0 < plan.overhead < 0.01 and 0 < plan.delay < 0.01
    page = markdown(plan, study(), 24)
    assert f"{plan.scheduler_jobs} jobs of the scheduler" in page
    assert len([line for line in page.splitlines() if line.startswith("|")]) == len(plan.rows) + 3


def test_planning_does_not_import_torch():
    code = "import sys, melanoma.plan, melanoma.dag; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT / "scripts", check=True)


def test_the_command_prints_and_writes_the_plan(tmp_path):
    command = [sys.executable, ROOT / "scripts" / "plan.py", "--configfile", ROOT / "config.yaml", "--images", "1000"]
    command += ["--output", "plan.md", "--csv", "plan.csv", "--images-per-second", "cnn=50"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (tmp_path / "plan.md").read_text() == done.stdout
    trained = pd.read_csv(tmp_path / "plan.csv").query("stage == 'train_fold' and model == 'cnn'")
    assert trained["hours"].item() == pytest.approx((20 + 8 * (2 * 640 * 0.98237 / 50 + 160 / 150)) / 3600, rel=1e-3)


@pytest.mark.parametrize("rate", ["cnn", "cnn=0", "cnn=fast", "other=5"])
def test_a_speed_that_makes_no_sense_is_refused(rate):
    rates = runpy.run_path(str(ROOT / "scripts" / "plan.py"))["rates"]
    assert rates(["cnn=50"], {"cnn": {}}) == {"cnn": 50.0}
    with pytest.raises(InputError, match="cnn"):
        rates([rate], {"cnn": {}})


def test_oversampling_to_1_to_1_shows_twice_the_benign_images():
    assert epoch_images(1000, 0.02, {"name": "oversample", "ratio": 1.0}) == 2 * 980


@settings(max_examples=20)
@given(
    st.sampled_from(["natural", "oversample"]),
    st.floats(0.2, 1),
    st.integers(60, 99),
    st.integers(2, 9),
)
def test_the_size_of_an_epoch_is_that_of_training(name, ratio, benign, melanomas):
    targets = np.repeat([0, 1], [benign, melanomas])
    sampling = {"name": name, "ratio": ratio}
    shown = len(epoch_order(targets, sampling, seed=1, epoch=0))
    assert epoch_images(len(targets), melanomas / len(targets), sampling) == pytest.approx(shown, abs=1)


@on_torch
@pytest.mark.parametrize(
    "layers",
    [
        {},
        {"padding": "same", "pooling": "average"},
        {"pooling": "levels"},
        {"stride": 2, "padding": "same"},
        {"hidden": []},
    ],
)
def test_the_work_of_the_baseline_network_is_what_torch_counts(layers):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from melanoma.networks import image_network

    recipe = one_model(network="baseline_cnn", baseline_cnn=layers).recipe("m")
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        image_network(recipe, 360).eval()(torch.empty(1, 3, 360, 360))
    assert baseline_gflops(recipe["baseline_cnn"], 360) == pytest.approx(counter.get_total_flops() / 1e9, rel=1e-9)


@on_torch
@pytest.mark.parametrize("network", ["resnest50", "efficientnet_b2"])
def test_the_table_of_networks_is_what_torch_counts(network):
    found, stored = count(network, 256), study().costs["networks"][network]
    assert found["gflops"] == pytest.approx(stored["gflops"], rel=0.005)
    assert found["parameters"] == pytest.approx(stored["parameters"], rel=0.01)


@on_torch
def test_a_network_of_timm_is_counted_or_refused():
    assert count("timm/resnet18", 224)["parameters"] == pytest.approx(11.69, abs=0.01)
    with pytest.raises(InputError, match="no network 'resnet_of_nobody'"):
        count("timm/resnet_of_nobody", 224)
    with pytest.raises(InputError, match="--count"):
        job_hours(one_model(network="timm/resnet18", backbone={"pretrained": False}, resources=ON_A_GPU), FOLD)


def test_every_network_of_the_schema_has_a_cost():
    from melanoma.study import load_schema

    names = load_schema()["$defs"]["recipe"]["properties"]["network"]["anyOf"][0]["enum"]
    known = {"baseline_cnn", "metadata_mlp", "logistic_regression", "random_forest", "naive_bayes"}
    known |= {"gradient_boosting", "predictions"}
    assert set(names) <= known | set(study().costs["networks"])


def test_a_network_without_published_training_is_as_fast_as_its_work_allows():
    known = one_model(network="resnest50", resources=ON_A_GPU)
    counted = one_model(network="resnest50", resources=ON_A_GPU)
    counted.costs["networks"]["resnest50"] = {"gflops": 214.0, "parameters": 27.5}
    step = 3 * 214e9 * 512**2 / 1e6
    assert gpu_speed(counted, "m") == pytest.approx(0.05 * 156e12 / step) != gpu_speed(known, "m")


def test_training_takes_its_epochs_and_judging_them():
    found = one_model(network="resnest269", input_size=416, epochs=12, resources=ON_A_GPU)
    train, fold = ISIC_2020 * 0.8, ISIC_2020 * 0.8 / 5
    speed = training_speed(found, "m")
    assert speed == pytest.approx(35.75 * 1.6 * 0.44)
    epoch = 2 * 0.98 * (train - fold) / speed + fold / (3 * speed)
    assert job_hours(found, FOLD) == pytest.approx((20 + 12 * epoch) / 3600)
    assert job_hours(found, REFIT) == pytest.approx((20 + 12 * 2 * 0.98 * train / speed) / 3600)


def test_half_the_side_is_four_times_as_fast_and_bfloat16_faster():
    large, small = (one_model(network="efficientnet_b4", input_size=size, resources=ON_A_GPU) for size in (512, 256))
    assert gpu_speed(small, "m") == pytest.approx(4 * gpu_speed(large, "m"))
    mixed = one_model(network="efficientnet_b4", input_size=512, precision="bfloat16", resources=ON_A_GPU)
    assert gpu_speed(mixed, "m") > 2 * gpu_speed(large, "m")


def test_training_is_no_faster_than_its_loader():
    starved = one_model(network="efficientnet_b0", input_size=128, resources={"gpus": 8, "threads": 2})
    assert training_speed(starved, "m") == loader_speed(starved, "m") == pytest.approx(1000 / (10.5 * 0.016384))


def test_a_speed_of_your_own_counts_before_all_others():
    found = study(measured={"s1_resnest269": 7.0})
    assert training_speed(found, "s1_resnest269") == 7.0
    assert training_speed(study(gpu_speed=2.0), "s1_resnest269") == 2 * training_speed(study(), "s1_resnest269")


def test_60_hours_under_a_limit_of_24_take_three_runs():
    found = one_model(network="resnest269", input_size=416, epochs=124, resources=ON_A_GPU)
    assert 58 < job_hours(found, FOLD) < 62
    assert [runs_needed(found, FOLD, limit) for limit in (100, 24, 12)] == [1, 3, 5]
    assert runs_needed(found, Job(3, "prepare_shard"), 24) == 1
    with pytest.raises(InputError, match="no time to train"):
        runs_needed(found, FOLD, 0.1)


def test_prepared_images_take_their_pixels_on_disk_and_less_when_compressed():
    shard = Job(1, "prepare_shard", threads=4)
    plain = study()
    assert 8 * job_bytes(plain, shard) == pytest.approx(ISIC_2020 * 512 * 512 * 3)
    plain.config["images"]["compression"] = "gzip-1"
    assert job_bytes(plain, shard) < ISIC_2020 * 512 * 512 * 3 / 8


@given(st.integers(1, 5))
def test_ten_times_the_images_never_take_less(power):
    job = Job(1, "find_near_duplicates", threads=4)
    assert job_hours(study(10 ** (power + 1)), job) >= job_hours(study(10**power), job)


def test_jobs_come_after_those_they_need_and_the_longest_chain_adds_up():
    needs = {4: {2, 3}, 3: {1}, 2: {1}, 1: set()}
    diamond = [Job(number, "any", needs=frozenset(needed)) for number, needed in needs.items()]
    order = [job.id for job in in_order(diamond)]
    assert order[0] == 1 and order[-1] == 4
    assert critical_path(diamond, {1: 1, 2: 5, 3: 2, 4: 1}) == 7


def test_the_costs_say_where_each_is_from():
    text = (ROOT / "scripts" / "melanoma" / "costs.yaml").read_text()
    for group in ("scheduler", "training", "gpu"):
        block = re.search(rf"^{group}:.*?\n((?:  .*\n)+)", text, re.MULTILINE).group(1)
        assert re.search(r"measured|assumed|published|data sheet", block)
