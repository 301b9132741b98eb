"""The names of timm's networks are known without timm."""

import subprocess
import sys

import timm

from melanoma.config.networks import has_network, nearest_networks, timm_names
from project import SCRIPTS


def test_the_networks_are_those_that_timm_lists():
    assert {name for name in timm_names() if "." not in name} == set(timm.list_models())


def test_every_network_is_known_with_every_tag_of_its_weights():
    assert all(map(has_network, [*timm.list_models(), *timm.list_pretrained()]))


def test_a_name_or_a_tag_that_timm_lacks_is_not_known_and_the_nearest_are_named():
    assert not has_network("nonsense") and not has_network("nonsense.in1k") and not has_network("resnet50.nonsense")
    assert nearest_networks("convnext_tny")[0] == "convnext_tiny"


def test_neither_timm_nor_torch_is_imported_for_that():
    code = (
        "import sys; from melanoma.config.networks import has_network; has_network('x');"
        " assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": str(SCRIPTS)}, check=True)
