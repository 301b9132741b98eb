"""An option that a script and a study share has one description."""

import argparse
from importlib import import_module

import pytest

from melanoma.config.base import help_text
from melanoma.config.data import Download, Images
from melanoma.config.recipe import Recipe, Resources

SHARED = {
    "fetch": [(Download, "url"), (Download, "bytes"), (Download, "sha256"), (Download, "unzip")],
    "prepare_shard": [(Images, "shards"), (Images, "threads")],
    "predict_tabular": [(Resources, "threads")],
    "train": [(Resources, "gpus"), (Resources, "nodes"), (Resources, "threads"), (Recipe, "checkpoint_minutes")],
}


@pytest.mark.parametrize("script", SHARED)
def test_the_help_of_a_script_has_the_description_of_the_option(script: str) -> None:
    parser = argparse.ArgumentParser()
    import_module(script).describe(parser)
    words = " ".join(parser.format_help().split())
    for section, name in SHARED[script]:
        assert help_text(section, name) in words
