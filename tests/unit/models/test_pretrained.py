"""Pretrained weights: loaded whole from the right file, or an error with the fault and a remedy."""

import hashlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import tiny
from melanoma.common.errors import InputError
from melanoma.config.data import KNOWN_DOWNLOADS
from melanoma.config.networks import OFFICIAL_WEIGHTS, WEIGHTS_FOLDER
from melanoma.config.recipe import Recipe
from melanoma.config.study import resolve
from melanoma.models.classifier import Classifier, build_network
from melanoma.models.pretrained import load_pretrained, start_from_pretrained, weights_digest

NAME = "timm/resnet18"
SIZE = 32


def recipe(path: object = None, network: str = NAME, **backbone) -> Recipe:
    weights = None if path is None else str(path)
    return tiny.recipe(network=network, backbone={"pretrained": weights is not None, "weights": weights} | backbone)


def built(path: object = None, network: str = NAME, seed: int = 0, size: int = SIZE, **backbone) -> Classifier:
    torch.manual_seed(seed)
    return build_network(recipe(path, network, **backbone), size, 0)


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    """Weights of the whole network, classifier included, as its authors would publish them."""
    return built(seed=1, features="classes").image.network.state_dict()


def started(path: Path, network: str = NAME, size: int = SIZE, **backbone) -> Classifier:
    model = built(path, network, size=size, **backbone)
    start_from_pretrained(model, recipe(path, network, **backbone))
    return model


def is_started_from(model: Classifier, weights: dict[str, torch.Tensor]) -> bool:
    state = model.image.network.state_dict()
    return all(torch.equal(state[name], weights[name]) for name in state if "exponent" not in name)


def saved(path: Path, weights: object) -> Path:
    torch.save(weights, path)
    return path


@pytest.mark.parametrize("options", [{"features": "classes"}, {}, {"pooling": "gem"}, {"gradient_checkpointing": True}])
def test_a_network_starts_from_published_weights_without_the_classifier(published, tmp_path, options):
    model = started(saved(tmp_path / "weights.pth", published), **options)
    assert is_started_from(model, published)


@pytest.mark.parametrize("form", ["safetensors", "state_dict", "model", "module", "old", "half"])
def test_weights_are_read_in_each_published_form(published, tmp_path, form):
    path = tmp_path / "weights.pth"
    if form == "safetensors":
        path = tmp_path / "weights.safetensors"
        save_file(published, path)
    elif form == "module":
        saved(path, {f"module.{name}": value for name, value in published.items()})
    elif form == "old":
        counters = {name for name in published if name.endswith("num_batches_tracked")}
        old = {name: value for name, value in published.items() if name not in counters}
        torch.save(old, path, _use_new_zipfile_serialization=False)
    elif form == "half":
        published = {name: value.half() if value.is_floating_point() else value for name, value in published.items()}
        saved(path, published)
    else:
        saved(path, {form: published, "epoch": 3})
    assert is_started_from(started(path), published)


@pytest.mark.parametrize("network", ["resnest50", "efficientnet_b0"])
def test_the_authors_and_torchvisions_classifiers_are_left_out_too(tmp_path, network):
    whole = built(network=network, seed=1, features="classes").image.network.state_dict()
    assert is_started_from(started(saved(tmp_path / "weights.pth", whole), network), whole)


def test_a_transformer_resizes_its_position_embedding(tmp_path):
    name = "timm/vit_tiny_patch16_224"
    whole = built(network=name, seed=1, size=64, features="classes").image.network.state_dict()
    path = saved(tmp_path / "weights.pth", whole)
    model = started(path, name, size=96)
    state = model.image.network.state_dict()
    assert torch.equal(state["blocks.3.attn.qkv.weight"], whole["blocks.3.attn.qkv.weight"])
    assert state["pos_embed"].shape != whole["pos_embed"].shape
    assert torch.equal(state["pos_embed"][:, 0], whole["pos_embed"][:, 0])


def test_without_pretrained_weights_no_weight_changes():
    for chosen in (recipe(), tiny.recipe(), tiny.recipe(network="metadata_mlp")):
        torch.manual_seed(0)
        model = build_network(chosen, SIZE, 3)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        start_from_pretrained(model, chosen)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        assert weights_digest(chosen) == ""


def test_the_digest_is_that_of_the_file(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"weights")
    assert weights_digest(recipe(path)) == hashlib.sha256(b"weights").hexdigest()


def test_a_missing_file_is_an_error_and_no_random_start(tmp_path):
    path = tmp_path / "none.pth"
    for act in (lambda: started(path), lambda: weights_digest(recipe(path))):
        with pytest.raises(InputError, match=r"none.pth: the pretrained weights of timm/resnet18 do not exist. Put "):
            act()


def test_the_hash_in_a_files_name_is_checked(published, tmp_path):
    path = saved(tmp_path / "weights.pth", published)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    right = path.rename(tmp_path / f"resnet18-{digest[:8]}.pth")
    assert is_started_from(started(right), published)
    wrong = right.rename(tmp_path / "resnet18-0cc87c48.pth")
    with pytest.raises(InputError, match=rf"its SHA-256 is {digest}, and by its name it should begin with 0cc87c48"):
        started(wrong)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("left", [0, 100, 1_000_000])
def test_a_truncated_file_is_an_error(published, tmp_path, suffix, left):
    path = tmp_path / f"weights{suffix}"
    save_file(published, path) if suffix == ".safetensors" else saved(path, published)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(InputError, match=r"cannot be read as weights, because it is damaged"):
        started(path)


@pytest.mark.parametrize("content", [["a", "list"], {"epoch": 3}, torch.zeros(3)])
def test_a_file_without_a_state_dictionary_is_an_error(tmp_path, content):
    with pytest.raises(InputError, match=r"expected a state dictionary"):
        started(saved(tmp_path / "weights.pth", content))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(published, tmp_path, value):
    changed = published | {"conv1.weight": torch.full((64, 3, 7, 7), value)}
    with pytest.raises(InputError, match=r"weights\.pth: conv1\.weight is not finite"):
        started(saved(tmp_path / "weights.pth", changed))


def test_a_file_that_would_run_code_is_not_run(tmp_path):
    class Harm:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "harmed",))

    with pytest.raises(InputError, match=r"has other content"):
        started(saved(tmp_path / "weights.pth", {"weights": Harm()}))
    assert not (tmp_path / "harmed").exists()


def test_weights_of_another_network_are_refused_with_what_is_missing_and_unexpected(tmp_path):
    other = built(network="efficientnet_b0").image.network.state_dict()
    path = saved(tmp_path / "weights.pth", other)
    message = r"not the weights of timm/resnet18:\n.* missing: conv1.weight, .*\n.* unexpected: features.0.0.weight, "
    with pytest.raises(InputError, match=message + r"[\s\S]*Name the file of this network in backbone.weights"):
        started(path)


def test_weights_of_another_shape_are_refused(published, tmp_path):
    path = saved(tmp_path / "weights.pth", published | {"conv1.weight": torch.zeros(64, 1, 7, 7)})
    with pytest.raises(InputError, match=r"1 of another shape: conv1.weight \(64, 1, 7, 7\), expected \(64, 3, 7, 7\)"):
        started(path)


@pytest.mark.parametrize("change", ["missing", "unexpected"])
def test_a_missing_or_unexpected_name_is_refused(published, tmp_path, change):
    changed = published | {"extra.weight": torch.zeros(1)}
    if change == "missing":
        changed = {name: value for name, value in published.items() if name != "layer4.1.bn2.weight"}
    with pytest.raises(InputError, match=f"1 {change}: "):
        started(saved(tmp_path / "weights.pth", changed))


def test_pooled_features_do_not_need_the_published_classifier(published, tmp_path):
    few = published | {"fc.weight": torch.zeros(9, 512), "fc.bias": torch.zeros(9)}
    path = saved(tmp_path / "weights.pth", few)
    assert is_started_from(started(path), published)
    with pytest.raises(InputError, match=r"Its classifier has other classes: set backbone.features to pooled"):
        started(path, features="classes")


def test_refused_weights_change_no_parameter(published, tmp_path):
    path = saved(tmp_path / "weights.pth", published | {"extra": torch.zeros(1)})
    model = built()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError):
        load_pretrained(model.image.network, NAME, path)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_every_official_file_has_an_address_and_its_hash():
    for file in OFFICIAL_WEIGHTS.values():
        download = KNOWN_DOWNLOADS[f"{WEIGHTS_FOLDER}/{file}"]
        assert download.url.endswith(f"/{file}") and file.endswith(f"-{str(download.sha256)[:8]}.pth")
        whole = file not in ("resnest101-22405ba7.pth", "resnest200-75117900.pth", "resnest269-0cc87c48.pth")
        assert (len(str(download.sha256)) == 64) == (whole and not file.startswith("efficientnet_b1"))


def test_a_network_of_timm_without_a_file_is_an_error_of_the_configuration():
    source = {"name": "mine", "table": "train.csv", "images": "jpeg"}
    config = {"study": "mine", "data": {"sources": [source]}, "models": {"net": {"network": NAME}}}
    with pytest.raises(
        InputError, match=r"models.net.backbone.weights: timm/resnet18 starts from pretrained weights: "
    ):
        resolve(config)
    config["models"]["net"]["backbone"] = {"pretrained": False}
    assert resolve(config)
