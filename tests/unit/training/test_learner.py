"""The learner says beforehand what will take long."""

import logging

import torch

import tiny
from melanoma.compute.distributed import Processes
from melanoma.data.metadata_encoder import MetadataEncoder
from melanoma.training.learner import Learner
from melanoma.training.loader import Examples


def test_the_time_of_a_compilation_is_told_before_it_starts(tmp_path, caplog):
    rows = tiny.table(20)
    examples = Examples.of(rows, MetadataEncoder.fit(rows), tiny.write_store(tmp_path / "images.h5", rows), None)
    with caplog.at_level(logging.INFO, logger="melanoma"):
        for compiled in (False, True):
            assert ("the first steps compile the network" in caplog.text) is False
            Learner(tiny.recipe(compile=compiled), examples, 0, torch.device("cpu"), Processes())
    assert "the first steps compile the network" in caplog.text
