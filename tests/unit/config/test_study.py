"""The configuration: every default from the schema, every mistake named with what is allowed and what was meant."""

import json
from copy import deepcopy

import pytest
import yaml
from jsonschema import Draft202012Validator

from melanoma.common.errors import InputError
from melanoma.config.schema import dereferenced
from melanoma.config.study import load_schema, pieces, resolve, training_recipe
from melanoma.report.page import configuration
from minimal_config import MINIMAL, with_
from project import ROOT

STUDIES = [
    ROOT / "config.yaml",
    *sorted(ROOT.glob("studies/*.yaml")),
    *sorted(ROOT.glob("tests/studies/*.yaml")),
]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.name)
def test_every_study_file_is_valid(path):
    resolve(yaml.safe_load(path.read_text()))


def test_a_minimal_study_gets_every_default_and_a_resolved_one_stays_as_it_is():
    resolved = resolve(MINIMAL)
    assert resolved["split"]["folds"] == 5 and resolved["images"]["size"] == 512
    assert resolved["models"]["cnn"]["augmentation"]["affine"]["probability"] == 0
    assert resolved["data"]["sources"][0]["layout"] == "kaggle"
    assert "generate" not in resolved["data"]["sources"][0]
    assert resolve(resolved) == resolved


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
        ("models.cnn.epochs", 0, r"models.cnn.epochs: 0 is less than the minimum of 1"),
        ("models.cnn", {}, r"models.cnn: missing 'network' \(network: baseline_cnn, "),
        ("study", "My Study", r"study: 'My Study' must be lower-case"),
        ("data.sources", [{"name": "a", "table": "t.csv"}], r"sources.0: give either table and images or generate"),
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
            {"network": "baseline_cnn", "head": "image_and_metadata", "augmentation": {"cutmix": {"probability": 0.5}}},
            r"models.cnn.augmentation.cutmix: not with head image_and_metadata",
        ),
        (
            "models.cnn",
            {"network": "baseline_cnn", "aux_loss_weight": 0.2, "augmentation": {"mixup": {"probability": 0.5}}},
            r"models.cnn.augmentation.mixup: not with aux_loss_weight above 0",
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
        ("models.cnn.epochs", 10**9, r"models.cnn.epochs: 1000000000 is greater than the maximum of 10000"),
        ("models.cnn.batch_size", 10**6, r"models.cnn.batch_size: 1000000 is greater than the maximum of 65536"),
        ("models.cnn.dropout", float("nan"), r"models.cnn.dropout: expected a number, got nan; write a finite one"),
        ("models.cnn.ema", float("-inf"), r"models.cnn.ema: expected a number or null, got -inf; write a finite one"),
        ("study", "s" * 61, r"study: 's+' has 61 characters; 60 are allowed"),
        ("models." + "m" * 61, {"network": "baseline_cnn"}, r"models: 'm+' has 61 characters; 60 are allowed"),
        ("models", {True: {"network": "baseline_cnn"}}, r"models: expected a text, got True"),
        ("models.cnn.network", "timm/nonsens", r"models.cnn.network: timm has no network 'nonsens'"),
        ("models.cnn.network", "timm/ResNet50", r"timm has no network .ResNet50. \(did you mean timm/resnet50 or"),
        ("models.cnn.network", "timm/resnet50.a1_in1", r"did you mean timm/resnet50.a1_in1k or"),
        (
            "models.cnn",
            {"network": "baseline_cnn", "batch_size": 16, "gradient_accumulation_steps": 5, "resources": {"gpus": 4}},
            r"16 images cannot be cut into 5 part\(s\) \(gradient_accumulation_steps\) on each of 4 process",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_what_is_allowed(path, value, message):
    with pytest.raises(InputError, match=message):
        resolve(with_(path, value))


def test_a_mistake_is_named_with_the_file_and_line_of_its_key_or_of_the_nearest_one_above_it():
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
    assert any(line.startswith("  - --config: models.cnn.epochs: 0 is less") for line in lines)
    assert any(line.startswith("  - s.yaml: split.seed: expected a whole number") for line in lines)


def test_every_whole_number_has_a_most():
    schema = load_schema()

    def unlimited(node, path):
        node = dereferenced(node, schema["$defs"])
        kinds = node.get("type", [])
        if "integer" in kinds and "string" not in kinds and "maximum" not in node:
            yield path
        for name, child in node.get("properties", {}).items():
            yield from unlimited(child, f"{path}.{name}")
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                yield from unlimited(node[key], f"{path}[]")

    assert not list(unlimited(schema, ""))


def test_all_mistakes_are_reported_at_once():
    config = with_("images", {"size": "x", "shards": 0, "color": 1})
    with pytest.raises(InputError, match=r"3 error\(s\)"):
        resolve(config)


def test_the_schema_is_a_schema_and_describes_every_option():
    schema = load_schema()
    Draft202012Validator.check_schema(schema)

    def undescribed(node, path):
        for name, sub in node.get("properties", {}).items():
            if "description" not in sub and "$ref" not in sub:
                yield f"{path}.{name}"
            yield from undescribed(sub, f"{path}.{name}")
        for key in ("items", "additionalProperties"):
            if isinstance(node.get(key), dict):
                yield from undescribed(node[key], f"{path}[]")

    missing = [*undescribed(schema, ""), *undescribed(schema["$defs"]["recipe"], "recipe")]
    assert not [*missing, *undescribed(schema["$defs"]["augmentation"], "augmentation")]


def test_the_demo_study_spells_out_every_option():
    """config.yaml is the documentation of what can be configured, so nothing may be missing there."""
    schema, config = load_schema(), yaml.safe_load((ROOT / "config.yaml").read_text())
    used = {key for recipe in config["models"].values() for key in recipe}
    assert used == set(schema["$defs"]["recipe"]["properties"])
    used = {key for fusion in config["fusions"].values() for key in fusion}
    assert used == set(schema["properties"]["fusions"]["additionalProperties"]["properties"])
    for section in ("data", "images", "split", "predict", "fuse", "evaluate"):
        assert set(config[section]) == set(schema["properties"][section]["properties"])
    assert set(config["models"]["cnn"]["augmentation"]) == set(schema["$defs"]["augmentation"]["properties"])


def test_memory_threads_and_run_time_are_no_part_of_what_training_reads():
    recipes = [
        training_recipe(resolve(with_("models.cnn.resources", resources))["models"]["cnn"])
        for resources in ({"mem_mb": 1000, "threads": 1}, {"mem_mb": 9000, "threads": 4, "runtime": 5})
    ]
    assert recipes[0] == recipes[1]


def test_a_network_that_leaves_nothing_of_the_image_is_found_before_anything_runs():
    with pytest.raises(InputError, match=r"of an image of 64 pixels nothing is left after convolution 4 of 6"):
        resolve(with_("images.size", 64))
    assert resolve(with_("images.size", 342))


def test_a_recipe_holds_nothing_of_other_networks():
    models = {name: {"network": name} for name in ("logistic_regression", "random_forest", "metadata_mlp")}
    recipes = {
        name: training_recipe(recipe) for name, recipe in resolve(MINIMAL | {"models": models})["models"].items()
    }
    assert set(recipes["logistic_regression"]) == {"network", "seed", "inputs"}
    assert set(recipes["random_forest"]) == {"network", "seed", "inputs", "random_forest"}
    assert not {"baseline_cnn", "augmentation", "random_forest", "gradient_boosting", "inputs"} & set(
        recipes["metadata_mlp"]
    )


@pytest.mark.parametrize("most", [1, 500, 5_000, 10**6])
def test_a_configuration_in_pieces_is_the_same_joined(most, tmp_path):
    """No piece is larger than was asked, but for one item that is by itself."""
    config = resolve(MINIMAL | {"fusions": {"f": {"members": ["cnn", "mlp"]}}})
    parts = pieces(config, most)
    for number, part in enumerate(parts):
        (tmp_path / f"{number}.yaml").write_text(yaml.safe_dump(part))
        if len(json.dumps(part)) > most:
            ((section, value),) = part.items()
            assert section not in ("models", "fusions", "fetch") or len(value) == 1
    assert configuration([tmp_path / f"{number}.yaml" for number in range(len(parts))]) == config
    assert (len(parts) == 1) == (most == 10**6)
