"""The configuration: every default from the schema, every mistake named with what is allowed and what was meant."""

from copy import deepcopy
from functools import reduce
from typing import get_args, get_origin

import pytest
import yaml
from snakemake.utils import update_config

from melanoma.common.errors import InputError
from melanoma.config.base import Section, accepts, members, option_type
from melanoma.config.study import Study, resolve
from minimal_config import MINIMAL, with_
from project import ROOT

LEAK = ("leak_apart.yaml", "leak_mixed.yaml")
TWO_NETWORKS = ("two_networks.yaml", "tuned.yaml", "s1_as_published.yaml", "s1_blank_images.yaml", *LEAK)
OVERLAYS = (*TWO_NETWORKS, "s0_as_published.yaml")
STUDIES = [
    ROOT / "config.yaml",
    *sorted(path for path in ROOT.glob("studies/*.yaml") if path.name not in OVERLAYS),
    *sorted(path for path in ROOT.glob("tests/studies/*.yaml") if path.name != "tiny_external.yaml"),
]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_every_study_file_is_valid(path):
    resolve(yaml.safe_load(path.read_text()))


def keys(value, path=()):
    """Yield the path of every key below a block of keys."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield (*path, key)
            yield from keys(item, (*path, key))


@pytest.mark.parametrize(
    "path", ["config.yaml", "studies/isic2020.yaml", "studies/isic2020_tables.yaml", "studies/isic2020_small.yaml"]
)
def test_a_study_file_holds_only_what_differs_from_the_defaults(path):
    config = yaml.safe_load((ROOT / path).read_text())
    for *parents, last in keys({name: config.get(name, {}) for name in ("images", "split", "models", "fusions")}):
        shorter = deepcopy(config)
        block = reduce(lambda block, key: block[key], parents, shorter)
        if parents and last in block:
            del block[last]
            assert not same(shorter, config), f"{path}: {'.'.join([*parents, last])} is at its default"


def same(one, other):
    """Tell whether two configurations give the same study; one that gives none is another."""
    try:
        return resolve(one) == resolve(other)
    except InputError:
        return False


def test_null_removes_what_an_earlier_file_gives():
    study = resolve(MINIMAL | {"models": MINIMAL["models"] | {"cnn": None}, "fusions": {"f": None}})
    assert set(study.models) == {"mlp"} and not study.fusions


@pytest.mark.parametrize("overlay", TWO_NETWORKS[1:])
def test_an_overlay_changes_the_two_networks_and_repeats_nothing(overlay):
    files = [
        yaml.safe_load((ROOT / "studies" / name).read_text()) for name in ("isic2020.yaml", TWO_NETWORKS[0], overlay)
    ]
    merged: dict = {}
    for file in files:
        update_config(merged, file)
    assert set(resolve(merged).models) == {"s1_cnn", "s1_resnest269"}
    assert not set(files[2]) - {"study", "split", "models", "fusions"}
    assert not any("network" in recipe for recipe in files[2].get("models", {}).values())


def test_a_minimal_study_gets_every_default_and_a_resolved_one_stays_as_it_is():
    study = resolve(MINIMAL)
    assert study.split.folds == 5 and study.images.size == 512
    assert study.models["cnn"].augmentation.affine.probability == 0
    assert study.data.sources[0].layout == "kaggle" and study.data.sources[0].generate is None
    assert resolve(study.dump()) == study


def test_resolving_leaves_the_configuration_it_was_given_alone():
    before = deepcopy(MINIMAL)
    resolve(MINIMAL)
    assert before == MINIMAL


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("modles", {}, r"unknown key 'modles' \(did you mean 'models'\?\); allowed: study, data"),
        ("images.sise", 256, r"images.sise: unknown key 'sise' \(did you mean 'size'\?\)"),
        ("images.fit", "center-crop", r"images.fit: 'center-crop' is not allowed \(did you mean 'center_crop'\?\)"),
        ("images.size", "512", r"images.size: expected a whole number, got '512'; YAML takes this for a text"),
        ("models.cnn.optimizer", {"learning_rate": "1e-3"}, r"learning_rate: expected a number, got '1e-3'.*1.0e-3"),
        ("models.cnn.epochs", 0, r"models.cnn.epochs: must be at least 1, got 0"),
        ("models.cnn", {}, r"models.cnn: missing 'network' \(network: baseline_cnn, "),
        ("study", "My Study", r"study: 'My Study' must be lower-case"),
        ("data.sources", [{"name": "a", "table": "t.csv"}], r"sources.0: give either table and images or generate"),
        ("split", {"method": "saved"}, r"split.file: missing; method saved takes its split"),
        ("split", {"folds": 5, "run_folds": [5]}, r"there is no fold 5; split.folds is 5, so 0 to 4"),
        ("fusions", {"f": {"members": ["cnn", "mpl"]}}, r"fusions.f.members: no model 'mpl' \(did you mean 'mlp'\?\)"),
        ("fusions", {"cnn": {"members": ["cnn", "mlp"]}}, r"fusions.cnn: a model has that name"),
        (
            "fusions",
            {"f": {"method": "weighted", "members": ["cnn", "mlp"], "weights": {"cnn": 1}}},
            r"fusions.f.weights: give one number for each of cnn, mlp",
        ),
        ("fusions", {"f": {"members": ["cnn", "mlp"], "weights": {"cnn": 1, "mlp": 1}}}, r"only method weighted"),
        ("models.mlp.head", "image_and_metadata", r"models.mlp.head: image_and_metadata needs an image network"),
        ("models.cnn.baseline_cnn", {"channels": [8]}, r"1 channels but 6 kernels"),
        ("models.cnn.schedule", {"warmup_epochs": 11}, r"warmup_epochs: 11 epochs of warm-up leave none of 11"),
        ("models.cnn.schedule", {"warmup_epochs": 2}, r"a learning rate of 0; give warmup_start_factor, or per: batch"),
        ("models.cnn.optimizer", {"groups": [{"match": "(image"}]}, r"'\(image' is no regular expression: missing \)"),
        (
            "models.cnn",
            {"network": "baseline_cnn", "input_size": 400, "tta": {"frame": "full_size"}},
            r"models.cnn.tta.frame: full_size gives baseline_cnn images of 512 pixels, and it is built for 400;",
        ),
        (
            "models.cnn.augmentation",
            {"crop": {"ratio": [1.3333, 0.75]}},
            r"augmentation.crop.ratio: 1 is not between 1.3333 and 0.75",
        ),
        ("models.mlp.inputs", ["age"], r"models.mlp.inputs: only for .*; metadata_mlp has its own"),
        (
            "data.sources",
            [{"name": "a", "table": "t.csv", "images": None}],
            r"models.cnn.network: baseline_cnn reads images; no source of this study has any",
        ),
        (
            "data.sources",
            [{"name": "a", "table": "t", "images": None}, {"name": "b", "table": "u", "images": "i"}],
            r"data.sources: a has no images, others have",
        ),
        ("models.cnn.input_size", 600, r"models.cnn.input_size: 600 is larger than images.size 512"),
        ("images.size", "512", r"images.size: expected a whole number, got '512'; .* write 512$"),
        ("models.cnn.epochs", 3.0, r"models.cnn.epochs: expected a whole number, got 3.0; write 3$"),
        ("models.cnn.epochs", 3.5, r"models.cnn.epochs: expected a whole number, got 3.5$"),
        ("models.cnn.seeds", [1.0, 2], r"models.cnn.seeds.0: expected a whole number, got 1.0; write 1$"),
        ("models.cnn.tune", {"space": {"epochs": [3.0]}}, r"tune.space.epochs: expected a whole number, .* write 3$"),
        ("models.cnn.epochs", 10**9, r"models.cnn.epochs: must be at most 10000, got 1000000000"),
        ("models.cnn.batch_size", 10**6, r"models.cnn.batch_size: must be at most 65536, got 1000000"),
        ("models.cnn.dropout", float("nan"), r"models.cnn.dropout: expected a number, got nan; write a finite one"),
        ("models.cnn.epochs", True, r"models.cnn.epochs: expected a whole number, got True"),
        ("models.cnn.seeds", [1, 1], r"models.cnn.seeds: 1 is given twice"),
        ("models.cnn.augmentation", {"crop": {"scale": [0.5]}}, r"crop.scale: has too few numbers, got \[0.5\]"),
        ("data.sources", [], r"data.sources: must have a length of at least 1, got \[\]"),
        (
            "data.sources",
            [{"name": "a", "table": "t", "images": ["i", 3]}],
            r"1 error\(s\):\n  - data.sources.0.images.1: expected a text, got 3$",
        ),
        ("models.cnn.ema", float("-inf"), r"models.cnn.ema: expected a number or null, got -inf; write a finite one"),
        ("study", "s" * 61, r"study: 's+' has 61 characters; 60 are allowed"),
        ("models." + "m" * 61, {"network": "baseline_cnn"}, r"models: 'm+' has 61 characters; 60 are allowed"),
        ("models", {True: {"network": "baseline_cnn"}}, r"models: expected a text, got True"),
        ("models.cnn.network", "timm/nonsens", r"models.cnn.network: timm has no network 'nonsens'"),
        ("models.cnn.network", "timm/ResNet50", r"timm has no network .ResNet50. \(did you mean timm/resnet50 or"),
        (
            "models.cnn",
            {"network": "linear_probe", "linear_probe": {"network": "metadata_mlp"}},
            r"models.cnn.linear_probe.network: 'metadata_mlp' is not allowed; allowed: resnest50, .*, timm/NAME$",
        ),
        (
            "models.cnn",
            {"network": "linear_probe", "linear_probe": {"network": "timm/nonsens"}, "backbone": {"pretrained": False}},
            r"models.cnn.linear_probe.network: timm has no network 'nonsens'",
        ),
        (
            "models.cnn",
            {"network": "linear_probe", "linear_probe": {"network": "timm/resnet50"}},
            r"models.cnn.backbone.weights: timm/resnet50 starts from pretrained weights",
        ),
        ("models.cnn", {"network": "linear_probe", "inputs": ["age"]}, r"cnn.inputs: .* head image_and_metadata; set"),
        (
            "models.cnn",
            {"network": "nearest_neighbors", "head": "image_and_metadata"},
            r"cnn.head: nearest_neighbors compares images alone",
        ),
        ("models.cnn", {"network": "nearest_neighbors", "inputs": ["age"]}, r"cnn.inputs: nearest_neighbors compares"),
        ("models.cnn.network", "timm/resnet50.a1_in1", r"did you mean timm/resnet50.a1_in1k or"),
        (
            "models.cnn",
            {"network": "baseline_cnn", "batch_size": 16, "gradient_accumulation_steps": 5, "resources": {"gpus": 4}},
            r"16 images cannot be divided into 5 part\(s\) \(gradient_accumulation_steps\) on each of 4 process",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_what_is_allowed(path, value, message):
    with pytest.raises(InputError, match=message):
        resolve(with_(path, value))


def test_an_error_names_the_file_and_line_of_its_key_or_of_the_nearest_parent():
    config = with_("models.cnn", {"network": "baseline_cnn", "optimizer": {"rate": 1}, "epochs": 0})
    places = {
        "": "s.yaml",
        "models.cnn": "s.yaml:7",
        "models.cnn.optimizer": "s.yaml:9",
        "models.cnn.epochs": "--config",
    }
    with pytest.raises(InputError) as found:
        resolve(config | {"split": {"seed": "x"}}, places)
    lines = str(found.value).splitlines()
    assert any(line.startswith("  - s.yaml:9: models.cnn.optimizer.rate: unknown key 'rate'") for line in lines)
    assert any(line.startswith("  - --config: models.cnn.epochs: must be at least 1") for line in lines)
    assert any(line.startswith("  - s.yaml: split.seed: expected a whole number") for line in lines)


def options(section, path=""):
    """Yield the dotted name and the type of every option below a section."""
    for name in section.model_fields:
        kind = option_type(section, name)
        yield f"{path}{name}", kind
        for below in sections(kind):
            yield from options(below, f"{path}{name}.")


def sections(kind):
    for member in members(kind):
        if isinstance(member, type) and issubclass(member, Section):
            yield member
        elif get_origin(member) in (tuple, dict):
            yield from sections(get_args(member)[-1 if get_origin(member) is dict else 0])


def test_every_whole_number_has_a_most():
    whole = {name: kind for name, kind in options(Study) if int in members(kind)}
    assert "models.epochs" in whole and "images.size" in whole
    assert not [name for name, kind in whole.items() if accepts(kind, 10**16)]


def test_every_option_is_described():
    described = [
        (field.description, f"{section.__name__}.{name}")
        for section in {Study, *(below for _, kind in options(Study) for below in sections(kind))}
        for name, field in section.model_fields.items()
    ]
    assert len(described) > 100 and not [name for description, name in described if not description]


def test_all_mistakes_are_reported_at_once():
    config = with_("images", {"size": "x", "shards": 0, "color": 1})
    with pytest.raises(InputError, match=r"3 error\(s\)"):
        resolve(config)


def test_a_network_that_leaves_nothing_of_the_image_is_found_before_anything_runs():
    with pytest.raises(InputError, match=r"of an image of 64 pixels nothing is left after convolution 4 of 6"):
        resolve(with_("images.size", 64))
    with pytest.raises(InputError, match=r"of an image of 329 pixels nothing is left after convolution 6 of 6"):
        resolve(with_("images.size", 329))
    assert resolve(with_("images.size", 330))


@pytest.mark.parametrize("model", [{"network": "metadata_mlp"}, {"network": "naive_bayes"}])
def test_a_model_of_metadata_that_no_source_names_is_refused_before_anything_is_read(model):
    columns = {"image": "file", "target": "label", "age": "age", "sex": "gender"}
    source = {"name": "a", "layout": "columns", "columns": columns, "table": "t.csv", "images": None}
    study = {"study": "s", "data": {"sources": [source]}, "models": {"m": model}}
    with pytest.raises(InputError, match=r"models\.m: it reads site, .*add data\.sources\.0\.columns\.site"):
        resolve(study)
    columns["site"] = "where"
    resolve(study)


def test_classifications_need_no_data_and_no_models():
    new = {"bundle": "b", "images": "i"}
    alone = resolve({"study": "s", "classify": {"new": new}})
    assert not alone.models and not alone.data.sources and alone.classify["new"].threshold == "youden"
    for without in (
        {"study": "s"},
        {"study": "s", "classify": {}},
        {"study": "s", "classify": {"new": new}, "data": {}},
    ):
        with pytest.raises(InputError, match="missing 'models'"):
            resolve(without)
    with pytest.raises(InputError, match=r"classify.new.images: must have a length of at least 1, got \[\]"):
        resolve({"study": "s", "classify": {"new": new | {"images": []}}})
    two = {"new": new | {"resources": {"gpus": 2, "nodes": 3}}}
    with pytest.raises(InputError, match=r"resources.gpus: 2, but .* uses one(.|\n)*resources.nodes: 3"):
        resolve({"study": "s", "classify": two})
