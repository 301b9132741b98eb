"""A study's configuration: checked against the schema in plain words, defaults filled in, and what follows from it."""

import difflib
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from melanoma.errors import InputError, listing

SCHEMA = Path(__file__).parents[2] / "schemas" / "config.schema.yaml"
TABULAR_NETWORKS = ("logistic_regression", "random_forest", "naive_bayes", "gradient_boosting")
WITHOUT_CONTEXT = "_without_context"
DEFAULT_INPUTS = ["age", "sex", "site"]


def load_schema() -> dict[str, Any]:
    """Read the schema of the configuration."""
    return yaml.safe_load(SCHEMA.read_text())


def resolve(config: dict[str, Any]) -> dict[str, Any]:
    """Return `config` with every default of the schema filled in.

    Raises InputError that lists every unknown key, wrong value and broken reference at once.
    """
    schema = load_schema()
    errors = [line for error in Draft202012Validator(schema).iter_errors(config) for line in _explain(error)]
    if not errors:
        config = _filled(config, schema, schema["$defs"])
        errors = list(_broken_references(config))
    if errors:
        raise InputError(f"The configuration has {len(errors)} error(s):\n{listing(errors, limit=30)}")
    return config


def is_tabular(recipe: dict[str, Any]) -> bool:
    """Tell whether the recipe's model is one of scikit-learn's, on metadata alone."""
    return recipe["network"] in TABULAR_NETWORKS


def reads_images(recipe: dict[str, Any]) -> bool:
    """Tell whether the recipe's model looks at pixels."""
    return recipe["network"] not in (*TABULAR_NETWORKS, "metadata_mlp")


def is_backbone(recipe: dict[str, Any]) -> bool:
    """Tell whether the recipe's network is one of resnest, torchvision or timm."""
    return reads_images(recipe) and recipe["network"] != "baseline_cnn"


def has_images(config: dict[str, Any]) -> bool:
    """Tell whether the study has images, and not tables alone."""
    return any("generate" in source or source["images"] is not None for source in config["data"]["sources"])


def all_fusions(config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the study's fusions by name, each with patient context followed by the same without."""
    fusions = {}
    for name, fusion in config["fusions"].items():
        fusions[name] = fusion
        if fusion["context"]:
            fusions[name + WITHOUT_CONTEXT] = fusion | {"context": False}
    return fusions


def training_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return what training reads of a recipe: not memory, threads and run time, nor what is another network's."""
    if is_tabular(recipe):
        return {key: recipe[key] for key in ("network", "seed", "inputs", recipe["network"]) if key in recipe}
    unread = {"resources", "tta", "inputs", "random_forest", "gradient_boosting", "baseline_cnn"} - {recipe["network"]}
    if not is_backbone(recipe):
        unread |= {"backbone"}
    if not reads_images(recipe):
        unread |= {"augmentation"}
    elif recipe["head"] == "logit":
        unread |= {"metadata"}
    devices = {key: recipe["resources"][key] for key in ("gpus", "nodes")}
    return {key: value for key, value in recipe.items() if key not in unread} | devices


def _filled(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """Return a copy of `value` with the defaults of `schema` at every level."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]] | schema
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        result = {
            key: deepcopy(value.get(key, sub.get("default")))
            for key, sub in ((k, _dereferenced(s, definitions)) for k, s in properties.items())
            if key in value or "default" in sub
        } | {key: item for key, item in value.items() if key not in properties}
        other = schema.get("additionalProperties")
        return {
            key: _filled(item, properties.get(key, other if isinstance(other, dict) else {}), definitions)
            for key, item in result.items()
        }
    if isinstance(value, list) and "items" in schema:
        return [_filled(item, schema["items"], definitions) for item in value]
    return value


def _dereferenced(schema: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    return definitions[schema["$ref"].rsplit("/", 1)[-1]] | schema if "$ref" in schema else schema


def _explain(error: ValidationError) -> Iterator[str]:
    """Say in plain words what is wrong, where, what is allowed, and what was probably meant."""
    where = ".".join(str(part) for part in error.absolute_path) or "the top level"
    if error.validator == "additionalProperties":
        allowed = list(error.schema["properties"])
        for key in error.instance:
            if key not in allowed:
                yield f"{where}: unknown key {key!r}{_nearest(key, allowed)}; allowed: {', '.join(allowed)}"
    elif error.validator in ("enum", "anyOf"):
        allowed = _allowed(error)
        meant = _nearest(error.instance, allowed)
        yield f"{where}: {error.instance!r} is not allowed{meant}; allowed: {', '.join(allowed)}"
    elif error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        yield f"{where}: missing {', '.join(map(repr, missing))}{_described(error, missing)}"
    elif error.validator == "oneOf":
        choices = " or ".join(" and ".join(choice["required"]) for choice in error.validator_value)
        yield f"{where}: give either {choices}, not both and not neither"
    elif error.validator == "type":
        yield f"{where}: expected {_types(error.validator_value)}, got {error.instance!r}{_number_hint(error)}"
    elif error.validator == "pattern":
        yield f"{where}: {error.instance!r} must be lower-case letters, digits and underscores, a letter first"
    else:
        yield f"{where}: {error.message}"


def _allowed(error: ValidationError) -> list[str]:
    """The values that an enum allows, or an enum beside patterns."""
    choices = [error.schema] if error.validator == "enum" else error.validator_value
    words = [str(item) for choice in choices for item in choice.get("enum", [])]
    return words + [choice["pattern"].strip("^$") for choice in choices if "pattern" in choice]


def _nearest(word: Any, allowed: list[str]) -> str:
    match = difflib.get_close_matches(str(word), allowed, n=1, cutoff=0.5)
    return f" (did you mean {match[0]!r}?)" if match else ""


def _types(names: str | list[str]) -> str:
    words = {"null": "null", "object": "a block of keys", "array": "a list", "string": "a text"}
    words |= {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
    return " or ".join(words[name] for name in ([names] if isinstance(names, str) else names))


def _number_hint(error: ValidationError) -> str:
    """YAML 1.1 reads 1e-3 as a text: only 1.0e-3 is a number."""
    if not isinstance(error.instance, str):
        return ""
    try:
        number = float(error.instance)
    except ValueError:
        return ""
    return f"; YAML takes this for a text, write {number!r} or, with an exponent, as in 1.0e-3"


def _described(error: ValidationError, keys: list[str]) -> str:
    described = [f"{key}: {error.schema['properties'][key].get('description', '')}" for key in keys]
    return f" ({'; '.join(described)})"


def _broken_references(config: dict[str, Any]) -> Iterator[str]:
    """Find what the schema cannot say: names that must exist elsewhere, and numbers that must fit each other."""
    models = config["models"]
    folds = config["split"]["folds"]
    for fold in config["split"]["run_folds"]:
        if fold >= folds:
            yield f"split.run_folds: there is no fold {fold}; split.folds is {folds}, so 0 to {folds - 1}"
    names = [source["name"] for source in config["data"]["sources"]]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"data.sources: two sources are named {name!r}; each name may be used once"
    pixels = has_images(config)
    for source in config["data"]["sources"]:
        if pixels and "generate" not in source and source["images"] is None:
            yield f"data.sources: {source['name']} has no images, others have; give all sources images, or none"
    for name, fusion in config["fusions"].items():
        if name in models:
            yield f"fusions.{name}: a model has that name; give the fusion another"
        for member in fusion["members"]:
            if member not in models:
                meant = _nearest(member, list(models))
                yield f"fusions.{name}.members: no model {member!r}{meant}; models: {', '.join(models)}"
        if fusion["weights"] is not None and set(fusion["weights"]) != set(fusion["members"]):
            yield f"fusions.{name}.weights: give one number for each of {', '.join(fusion['members'])}"
        if fusion["weights"] is not None and fusion["method"] != "weighted":
            yield f"fusions.{name}.weights: only method weighted takes weights; method is {fusion['method']}"
        if fusion["context"] and fusion["method"] not in ("logistic", "gradient_boosting"):
            yield f"fusions.{name}.context: only methods logistic and gradient_boosting use it, not {fusion['method']}"
        if fusion["context"] and name + WITHOUT_CONTEXT in {**models, **config["fusions"]}:
            yield f"fusions.{name}: it is judged without context as {name + WITHOUT_CONTEXT}; give the other a new name"
    for name, recipe in models.items():
        layers = recipe["baseline_cnn"]
        if len(layers["channels"]) != len(layers["kernels"]):
            yield (
                f"models.{name}.baseline_cnn: {len(layers['channels'])} channels but {len(layers['kernels'])} kernels;"
                " give one kernel size for each convolution"
            )
        if reads_images(recipe) and not pixels:
            yield f"models.{name}.network: {recipe['network']} reads images; no source of this study has any"
        if not is_tabular(recipe) and recipe["inputs"] != DEFAULT_INPUTS:
            yield f"models.{name}.inputs: only for {', '.join(TABULAR_NETWORKS)}; {recipe['network']} has its own"
        if recipe["head"] == "joint" and not reads_images(recipe):
            yield f"models.{name}.head: joint needs an image network; {recipe['network']} reads metadata alone"
        yield from _useless_optimisation(f"models.{name}", recipe)
        if recipe["network"] == "baseline_cnn":
            yield from _vanished_image(f"models.{name}", layers, recipe["input_size"] or config["images"]["size"])
        if is_backbone(recipe):
            yield from _unknown_weights(f"models.{name}", recipe)
        if recipe["dropout_samples"] > 1 and recipe["dropout"] == 0:
            yield f"models.{name}.dropout_samples: without dropout all samples are alike; set dropout, such as 0.5"
        yield from _mixed_labels(f"models.{name}", recipe)
        stored, seen = config["images"]["size"], recipe["input_size"]
        if seen is not None and seen > stored:
            yield f"models.{name}.input_size: {seen} is larger than images.size {stored}"


def _useless_optimisation(where: str, recipe: dict[str, Any]) -> Iterator[str]:
    """Find warm-ups in which nothing is learned, and patterns of parameter groups that are none."""
    schedule, epochs = recipe["schedule"], recipe["epochs"]
    warm_up = 0 if schedule["name"] == "1cycle" else schedule["warm_up"]
    if warm_up >= epochs:
        yield f"{where}.schedule.warm_up: {warm_up} epochs of warm-up leave none of {epochs} at the full learning rate"
    elif warm_up and schedule["per"] == "epoch" and schedule["warm_up_from"] == 0:
        yield (
            f"{where}.schedule: by epoch, a warm-up from 0 trains the first epoch at a learning rate of 0; give"
            " warm_up_from, or per: batch"
        )
    if recipe["early_stopping"] is not None and recipe["choose_epoch_by"] == "last":
        yield f"{where}.early_stopping: with choose_epoch_by: last each epoch is the best so far, and it never stops"
    for group in recipe["optimizer"]["groups"]:
        try:
            re.compile(group["match"])
        except re.error as error:
            yield f"{where}.optimizer.groups: {group['match']!r} is no regular expression: {error}"


def _unknown_weights(where: str, recipe: dict[str, Any]) -> Iterator[str]:
    """No one file of weights is that of a network of timm, so the recipe must name one."""
    settings = recipe["backbone"]
    if recipe["network"].startswith("timm/") and settings["pretrained"] and settings["weights"] is None:
        yield (
            f"{where}.backbone.weights: {recipe['network']} starts from pretrained weights: name their file here, and"
            " under fetch its address where it is to be downloaded; or set backbone.pretrained to false to start from"
            " random weights"
        )


def _mixed_labels(where: str, recipe: dict[str, Any]) -> Iterator[str]:
    """Mixing blends two images and their targets; metadata and diagnosis have no blend that means anything."""
    for kind in ("mixup", "cutmix"):
        if recipe["augmentation"][kind]["probability"] > 0:
            if recipe["head"] == "joint":
                yield (
                    f"{where}.augmentation.{kind}: not with head joint: the metadata of two patients cannot be mixed;"
                    " set its probability to 0 or head to logit"
                )
            if recipe["diagnosis_weight"] > 0:
                yield (
                    f"{where}.augmentation.{kind}: not with diagnosis_weight above 0: a diagnosis cannot be mixed; set"
                    " either to 0"
                )


def _vanished_image(where: str, layers: dict[str, Any], size: int) -> Iterator[str]:
    """Follow the side of the image through the baseline network, which must leave a pixel of it."""
    side = size
    for number, kernel in enumerate(layers["kernels"], start=1):
        side = (side if layers["padding"] == "same" else side - kernel + 1) // 2
        if side < 1:
            yield (
                f"{where}.baseline_cnn: of an image of {size} pixels nothing is left after convolution {number} of"
                f" {len(layers['kernels'])}; take larger images, fewer convolutions (shorter channels and kernels), or"
                " padding: same"
            )
            return
