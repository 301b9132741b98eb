"""Training as on a GPU, here on the CPU: images that the device warps, streamed or held by it, and recorded steps."""

import logging
import signal
from collections import Counter

import numpy as np
import pandas as pd
import pytest
import torch

import quick
import resident_training
import tiny
from melanoma.compute.device import set_up_torch
from melanoma.compute.distributed import Processes
from melanoma.compute.preemption import Preemption
from melanoma.device.placement import SHARE_OF_FREE_MEMORY
from melanoma.training import trainer
from melanoma.training.checkpoint import Checkpoints
from melanoma.training.learner import Learner
from melanoma.training.trainer import Run, train
from recorded_calls import Recorder
from small_training import TinyStudy, freeze_first_epoch, fuse_optimizers

MEMORY = {"streamed": 0, "resident": 10**12}
KILLED_STEP = 11  # of 16, in the second epoch


@pytest.fixture
def study(tmp_path):
    return TinyStudy(tmp_path)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Return a function that lets this device warp, with so much free memory, and record its steps."""
    fuse_optimizers(monkeypatch)
    freeze_first_epoch(monkeypatch)

    def start(free: int, recorded: bool = True) -> None:
        monkeypatch.setattr(trainer, "device_images", resident_training.with_memory(free))
        monkeypatch.setattr(Learner, "_recorder", lambda self: Recorder() if recorded else None)

    return start


def trained(study: TinyStudy, name: str, workers: int = 0):
    held_out = study.rows["fold"] == 0
    tables = (study.rows[rows].reset_index(drop=True) for rows in (~held_out, held_out))
    recipe = tiny.recipe(
        dropout=0.3,
        augmentation={**tiny.recipe().augmentation.dump(), "cutout": {"probability": 0.5}},
        gradient_accumulation_steps=2,
        # Learning rates that are the same number in float32, which a GPU reads, and in float64.
        optimizer={"learning_rate": 2**-8, "max_grad_norm": 0.5},
        schedule={"name": "step", "gamma": 0.5},
        ema=0.9,
    )
    run = Run(recipe, *tables, images=study.images, epochs=3, workers=workers)
    set_up_torch(1)
    return train(run, Checkpoints(study.folder / name, run.stamp()), None, Preemption(None), Processes())


def same(left, right) -> bool:
    pd.testing.assert_frame_equal(left[1], right[1], check_exact=True)
    return all(torch.equal(value, right[0]["weights"][name]) for name, value in left[0]["weights"].items())


def test_streamed_or_resident_with_any_number_of_threads_training_ends_in_the_same_bits(study, as_on_a_gpu, caplog):
    caplog.set_level(logging.INFO)
    as_on_a_gpu(MEMORY["streamed"], recorded=False)
    results = [trained(study, "not recorded")]
    for way, workers in (("streamed", 0), ("streamed", 4), ("resident", 1), ("resident", 2)):
        as_on_a_gpu(MEMORY[way])
        results.append(trained(study, f"{way}-{workers}", workers))
    assert all(same(results[0], result) for result in results[1:])
    assert caplog.text.count("threads read the images from the store") == 3
    assert caplog.text.count("the GPU holds the images") == 2
    assert "no CUDA graph" not in caplog.text


@pytest.mark.parametrize("stop", [1, 4, 7, 12])
def test_after_a_stop_training_continues_to_the_same_bits_also_in_the_other_way(study, as_on_a_gpu, monkeypatch, stop):
    as_on_a_gpu(MEMORY["streamed"])
    expected = trained(study, "whole")
    learn, steps = Learner.learn, []

    def stopping(self, *arguments):
        steps.append(1)
        if len(steps) == stop:
            raise KeyboardInterrupt
        return learn(self, *arguments)

    monkeypatch.setattr(Learner, "learn", stopping)
    with pytest.raises(KeyboardInterrupt):
        trained(study, "stopped", workers=2)
    as_on_a_gpu(MEMORY["resident"])
    assert same(expected, trained(study, "stopped"))


def test_the_device_trains_to_what_opencv_gives_but_for_single_gray_levels(study, as_on_a_gpu):
    host = trained(study, "host")[1]
    as_on_a_gpu(MEMORY["resident"])
    np.testing.assert_allclose(trained(study, "device")[1]["train_loss"], host["train_loss"], rtol=1e-2)


def test_the_log_tells_where_the_time_of_a_start_went(study, caplog):
    caplog.set_level(logging.INFO)
    trained(study, "run")
    (line,) = [record.message for record in caplog.records if "the first training step ended" in record.message]
    assert all(f"{part} " in line for part in ("imports", "network", "images", "first batches"))


def test_two_processes_read_each_image_once_in_all_and_end_in_the_bits_of_streamed_images(study):
    fits = MEMORY["resident"]
    # All 60 images do not fit; half of the 40 training images and 13 of the 20 validation images do.
    part = int(40 * tiny.SIZE**2 * 3 / SHARE_OF_FREE_MEMORY)
    ways = {"streamed": [0, 0], "resident": [fits, fits], "too small": [fits, 0], "sharded": [part, fits]}
    one_killed = [
        quick.fork(resident_training.train_ways, world, study.folder, {"killed": [part, part]}, KILLED_STEP)
        for world in quick.worlds(2)
    ]
    for process in one_killed:
        process.join()
    assert one_killed[0].exitcode and one_killed[1].exitcode == -signal.SIGKILL
    assert list((study.folder / "killed").glob("step-*.pt"))
    quick.together(resident_training.train_ways, 2, study.folder, ways | {"killed": [part, part]})
    found = {way: [torch.load(study.folder / f"{way}-{rank}.pt") for rank in range(2)] for way in (*ways, "killed")}
    reads = {way: sum((Counter(part["reads"]) for part in parts), Counter()) for way, parts in found.items()}
    once = Counter(study.rows["row"].tolist())
    assert reads["resident"] == reads["sharded"] == reads["killed"] == once
    assert reads["too small"] == reads["streamed"] > once
    expected = found["streamed"][0]
    for parts in found.values():
        assert sum((Counter(part["reads of prediction"]) for part in parts), Counter()) == once
        for part in parts:
            assert part["history"] == expected["history"]
            assert torch.equal(part["logits"], expected["logits"])
            torch.testing.assert_close(part["weights"], expected["weights"], rtol=0, atol=0)
