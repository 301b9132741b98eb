"""A study's configuration: checked against the schema in plain words, defaults filled in, and what follows from it."""

import difflib
import json
import posixpath
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import yaml
from jsonschema.exceptions import ValidationError

from melanoma.common.errors import InputError, listing
from melanoma.common.files import sha256
from melanoma.config.baseline_shapes import feature_sides
from melanoma.config.schema import dereferenced, validator, without_unread
from melanoma.config.search_space import option_schema, space_errors, trials, with_values
from melanoma.config.timm_names import has_network, nearest

SCHEMA = Path(__file__).parents[3] / "schemas" / "config.schema.yaml"
TABULAR_NETWORKS = ("logistic_regression", "random_forest", "naive_bayes", "gradient_boosting")
WITHOUT_CONTEXT = "_without_context"
DEFAULT_INPUTS = ["age", "sex", "site"]
EXTERNAL = "external_predictions"
# What decides how and where something is computed, but not what comes out.
INDIFFERENT = ("resources", "checkpoint_batches", "checkpoint_minutes")
INDIFFERENT_TO_IMAGES = ("shards", "threads")


@cache
def load_schema() -> dict[str, Any]:
    """Read the schema of the configuration, once: it is not to be changed."""
    return yaml.load(SCHEMA.read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # C's takes a tenth of the time


def resolve(config: dict[str, Any], places: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return `config` with every default of the schema filled in.

    Raises InputError that lists every unknown key, wrong value and broken reference at once, each with its file and
    line where `places` has them by the key's dotted name (see melanoma.config.yaml_files).
    """
    schema = load_schema()
    found = validator(schema, schema["$defs"]).iter_errors(config)
    errors = [line for error in found for line in _explain(error)]
    if not errors:
        config = _filled(config, schema, schema["$defs"])
        errors = list(_broken_references(config))
    if errors:
        placed = [_placed(error, places or {}) for error in errors]
        raise InputError(f"The configuration has {len(errors)} error(s):\n{listing(placed, limit=30)}")
    return config


def is_tabular(recipe: dict[str, Any]) -> bool:
    """Tell whether the recipe's model is one of scikit-learn's, on metadata alone."""
    return recipe["network"] in TABULAR_NETWORKS


def is_external(recipe: dict[str, Any]) -> bool:
    """Tell whether the recipe's model is a file of predictions that were made elsewhere."""
    return recipe["network"] == EXTERNAL


def is_trained(recipe: dict[str, Any]) -> bool:
    """Tell whether the recipe's model is a network that is trained by epochs."""
    return not is_tabular(recipe) and not is_external(recipe)


def reads_images(recipe: dict[str, Any]) -> bool:
    """Tell whether the recipe's model looks at pixels."""
    return recipe["network"] not in (*TABULAR_NETWORKS, "metadata_mlp", EXTERNAL)


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


def section_read(config: dict[str, Any], section: str) -> dict[str, Any]:
    """Return what decides the results of a section's stage, with the options that nothing reads at their defaults."""
    schema = load_schema()
    read = without_unread(config[section], schema["properties"][section], schema["$defs"])
    return {key: value for key, value in read.items() if section != "images" or key not in INDIFFERENT_TO_IMAGES}


def fusion_read(fusion: dict[str, Any]) -> dict[str, Any]:
    """Return a fusion with the options that its method does not read at their defaults."""
    schema = load_schema()
    return without_unread(fusion, schema["properties"]["fusions"]["additionalProperties"], schema["$defs"])


def recipe_read(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe with the options that nothing reads at their defaults: the momentum of adam, the n of flips."""
    schema = load_schema()
    return without_unread(recipe, schema["$defs"]["recipe"], schema["$defs"])


def training_name(recipe: dict[str, Any]) -> str:
    """Return the name of a recipe's training: the network and a hash of all that decides its weights.

    So a model that is renamed keeps its training, and models that differ in their prediction alone share one.
    """
    decides = [training_recipe(recipe), recipe["tune"]]
    digest = sha256(json.dumps(decides, sort_keys=True).encode())
    return f"{recipe['network'].replace('/', '_')}-{digest[:8]}"


def training_recipe(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return what decides the weights of a recipe: not how it is computed, nor what is another network's."""
    recipe = recipe_read(recipe)
    if is_external(recipe):
        return {key: recipe[key] for key in ("network", "file")}
    if is_tabular(recipe):
        return {key: recipe[key] for key in ("network", "seed", "inputs", recipe["network"]) if key in recipe}
    unread = {*INDIFFERENT, "tta", "tune", "seeds", "file", "inputs"}
    unread |= {"random_forest", "gradient_boosting", "baseline_cnn"} - {recipe["network"]}
    if not is_backbone(recipe):
        unread |= {"backbone"}
    if not reads_images(recipe):
        unread |= {"augmentation"}
    elif recipe["head"] == "image_only":
        unread |= {"metadata"}
    return {key: value for key, value in recipe.items() if key not in unread}


def computing(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return how a training is computed: its GPUs and nodes, and how often it saves itself."""
    devices = {key: recipe["resources"][key] for key in ("gpus", "nodes")}
    return devices | {key: recipe[key] for key in ("checkpoint_batches", "checkpoint_minutes")}


def trial_recipes(recipe: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the complete recipe of each trial of a recipe's tuning, by the trial's name."""
    schema = load_schema()
    drawn = trials(recipe["tune"], schema)
    return {name: _trial_recipe(recipe, values, schema) for name, values in drawn.items()}


def configuration_digest(config: dict[str, Any]) -> str:
    """Return a hash of all in a study's configuration that decides what is predicted, 16 hexadecimal digits."""
    sections = {key: section_read(config, key) for key in ("data", "images", "split", "predict", "fusions", "fuse")}
    models = {
        name: {key: value for key, value in recipe_read(recipe).items() if key not in INDIFFERENT}
        for name, recipe in config["models"].items()
    }
    return sha256(json.dumps(sections | {"models": models}, sort_keys=True).encode())[:16]


def pieces(config: dict[str, Any], most: int) -> list[dict[str, Any]]:
    """Return a configuration in parts that together are it, each of at most `most` characters as JSON.

    A model, a fusion, a download, and any other section are never divided: one that is larger is a part of its own.
    """
    items = []
    for section, value in config.items():
        named = section in ("models", "fusions", "fetch") and value
        items += [{section: {name: item}} for name, item in value.items()] if named else [{section: value}]
    parts: list[dict[str, Any]] = []
    size = most
    for item in items:
        added = len(json.dumps(item))
        if size + added > most:
            parts.append({})
            size = 0
        ((section, value),) = item.items()
        known = parts[-1].get(section)
        parts[-1][section] = value if known is None else known | value
        size += added
    return parts


def _trial_recipe(recipe: dict[str, Any], values: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    return _filled(with_values(recipe, values), schema["$defs"]["recipe"], schema["$defs"])


def _filled(value: Any, schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """Return a copy of `value` with the defaults of `schema` at every level."""
    schema = dereferenced(schema, definitions)
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        result = {
            key: deepcopy(value.get(key, sub.get("default")))
            for key, sub in ((k, dereferenced(s, definitions)) for k, s in properties.items())
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


def _placed(error: str, places: Mapping[str, str]) -> str:
    """Put before an error, which begins with a key's dotted name, where that key or the nearest one above it stands."""
    name = error.partition(": ")[0]
    while name and name not in places:
        name = name.rpartition(".")[0]
    return f"{places[name]}: {error}" if name in places else error


def _explain(error: ValidationError) -> Iterator[str]:
    """Say in plain words what is wrong, where, what is allowed, and what was probably meant."""
    where = ".".join(str(part) for part in error.absolute_path) or "the top level"
    if error.validator == "additionalProperties":
        allowed = list(error.schema["properties"])
        for key in error.instance:
            if key not in allowed:
                name = ".".join(map(str, [*error.absolute_path, key]))
                yield f"{name}: unknown key {key!r}{_nearest(key, allowed)}; allowed: {', '.join(allowed)}"
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
    elif error.validator == "maxLength":
        yield f"{where}: {error.instance!r} has {len(error.instance)} characters; {error.validator_value} are allowed"
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
    """Say how to write the number that is meant: a whole one without a point, others as YAML 1.1 knows them.

    It reads 1e-3 as a text: only 1.0e-3 is a number.
    """
    kinds = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    if isinstance(error.instance, bool) or not {"integer", "number"} & set(kinds):
        return ""
    try:
        number = float(error.instance)
    except (TypeError, ValueError):
        return ""
    if not isfinite(number):
        return "; write a finite one"
    taken = "; YAML takes this for a text" if isinstance(error.instance, str) else ""
    if "integer" in kinds:
        return f"{taken}; write {int(number)}" if number.is_integer() else taken
    return f"{taken}, write {number!r} or, with an exponent, as in 1.0e-3"


def _described(error: ValidationError, keys: list[str]) -> str:
    described = [f"{key}: {error.schema['properties'][key].get('description', '')}" for key in keys]
    return f" ({'; '.join(described)})"


def _broken_references(config: dict[str, Any]) -> Iterator[str]:
    """Find what the schema cannot say: names that must exist elsewhere, and numbers that must fit each other."""
    models = config["models"]
    yield from _downloads_elsewhere(config["fetch"])
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
            yield f"fusions.{name}: its form without context is {name + WITHOUT_CONTEXT}; give the other a new name"
    for name, recipe in models.items():
        if reads_images(recipe) and not pixels:
            yield f"models.{name}.network: {recipe['network']} reads images; no source of this study has any"
        yield from _broken_recipe(f"models.{name}", recipe, config["images"]["size"])
        if recipe["tune"] is not None:
            yield from _broken_tuning(f"models.{name}", recipe, config["images"]["size"])


def _downloads_elsewhere(fetch: dict[str, Any]) -> Iterator[str]:
    """Find paths outside data/, where a download could take the place of the project's own files or the user's.

    Only writing is bound to data/: tables, images and weights files that are there already are read from anywhere.
    """
    for path in map(str, fetch):
        if not posixpath.normpath(path).startswith("data/"):
            remedy = "name it data/... here and where it is used"
            yield f"fetch: {path!r} is not below data/, where all downloads go; {remedy}"
        elif "{" in path or "}" in path:
            yield f"fetch: {path!r} has braces, which are a wildcard to Snakemake; give the file another name"


def _broken_recipe(where: str, recipe: dict[str, Any], stored: int) -> Iterator[str]:
    """Find what does not fit in one recipe, for images that are stored with a side of `stored` pixels."""
    layers = recipe["baseline_cnn"]
    if len(layers["channels"]) != len(layers["kernels"]):
        yield (
            f"{where}.baseline_cnn: {len(layers['channels'])} channels but {len(layers['kernels'])} kernels;"
            " give one kernel size for each convolution"
        )
    if recipe["head"] == "image_and_metadata" and not reads_images(recipe):
        yield f"{where}.head: image_and_metadata needs an image network; {recipe['network']} reads metadata alone"
    yield from _useless_optimizer_settings(where, recipe)
    yield from _useless_keys(where, recipe)
    if recipe["network"] == "baseline_cnn":
        yield from _vanished_image(where, layers, recipe["input_size"] or stored)
    if is_backbone(recipe):
        yield from _unknown_network(where, recipe)
        yield from _unknown_weights(where, recipe)
    yield from _empty_parts(where, recipe)
    if recipe["multi_sample_dropout"] > 1 and recipe["dropout"] == 0:
        yield f"{where}.multi_sample_dropout: without dropout all samples are alike; set dropout, such as 0.5"
    yield from _mixed_labels(where, recipe)
    if recipe["input_size"] is not None and recipe["input_size"] > stored:
        yield f"{where}.input_size: {recipe['input_size']} is larger than images.size {stored}"


def _useless_keys(where: str, recipe: dict[str, Any]) -> Iterator[str]:
    """Find what only another kind of model can have."""
    if is_external(recipe) != (recipe["file"] is not None):
        yield f"{where}.file: network external_predictions needs the file of predictions, and no other network has one"
    if not is_tabular(recipe) and recipe["inputs"] != DEFAULT_INPUTS:
        yield f"{where}.inputs: only for {', '.join(TABULAR_NETWORKS)}; {recipe['network']} has its own"
    for key in ("seeds", "tune"):
        if recipe[key] is not None and not is_trained(recipe):
            yield f"{where}.{key}: only for networks that are trained by epochs; {recipe['network']} is not"


def _broken_tuning(where: str, recipe: dict[str, Any], stored: int) -> Iterator[str]:
    """Find options that a recipe does not have, values that they cannot take, and trials that cannot be trained."""
    schema, tune = load_schema(), recipe["tune"]
    errors = [f"{where}.tune.{error}" for error in space_errors(tune, schema)]
    if not errors:
        for name, choices in tune["space"].items():
            errors += _wrong_values(f"{where}.tune.space.{name}", name, choices, schema)
    if errors:
        yield from errors
        return
    found: dict[str, str] = {}
    for values in trials(tune, schema).values():
        try:
            trial = _trial_recipe(recipe, values, schema)
        except LookupError:
            yield f"{where}.tune.space: the recipe has no such place as one of {', '.join(values)}; give the list first"
            return
        for error in _broken_recipe(where, trial, stored):
            found.setdefault(error, f"{error} (in the trial {json.dumps(values)})")
    yield from found.values()


def _wrong_values(where: str, name: str, choices: Any, schema: dict[str, Any]) -> list[str]:
    """Check every value of an option's list, or both ends of its range, against the option's own schema."""
    values = choices if isinstance(choices, list) else next(iter(choices.values()))
    check = validator(option_schema(name, schema) or {}, schema["$defs"])
    return [
        re.sub("^the top level", where, f"{line}")
        for value in values
        for error in check.iter_errors(value)
        for line in _explain(error)
    ]


def _useless_optimizer_settings(where: str, recipe: dict[str, Any]) -> Iterator[str]:
    """Find warm-ups in which nothing is learned, and patterns of parameter groups that are none."""
    schedule, epochs = recipe["schedule"], recipe["epochs"]
    warmup = 0 if schedule["name"] == "1cycle" else schedule["warmup_epochs"]
    if warmup >= epochs:
        yield (
            f"{where}.schedule.warmup_epochs: {warmup} epochs of warm-up leave none of {epochs} at the full learning"
            " rate"
        )
    elif warmup and schedule["per"] == "epoch" and schedule["warmup_start_factor"] == 0:
        yield (
            f"{where}.schedule: by epoch, a warm-up from 0 trains the first epoch at a learning rate of 0; give"
            " warmup_start_factor, or per: batch"
        )
    if recipe["early_stopping_patience"] is not None and recipe["monitor"] == "last":
        yield f"{where}.early_stopping_patience: with monitor: last each epoch is the best so far, and it never stops"
    for group in recipe["optimizer"]["groups"]:
        try:
            re.compile(group["match"])
        except re.error as error:
            yield f"{where}.optimizer.groups: {group['match']!r} is no regular expression: {error}"


def _unknown_network(where: str, recipe: dict[str, Any]) -> Iterator[str]:
    """Find networks that timm does not have."""
    library, _, name = recipe["network"].partition("/")
    if library == "timm" and not has_network(name):
        meant = " or ".join(f"timm/{match}" for match in nearest(name))
        yield f"{where}.network: timm has no network {name!r}" + (f" (did you mean {meant}?)" if meant else "")


def _empty_parts(where: str, recipe: dict[str, Any]) -> Iterator[str]:
    """Find batches that have fewer images than the parts that they are cut into."""
    processes = max(recipe["resources"]["gpus"], 1) * recipe["resources"]["nodes"]
    parts = recipe["gradient_accumulation_steps"]
    if is_trained(recipe) and recipe["batch_size"] < parts * processes:
        yield (
            f"{where}.batch_size: {recipe['batch_size']} images cannot be cut into {parts} part(s)"
            f" (gradient_accumulation_steps) on each of {processes} process(es); take a larger batch_size or fewer"
            " gradient_accumulation_steps"
        )


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
            if recipe["head"] == "image_and_metadata":
                yield (
                    f"{where}.augmentation.{kind}: not with head image_and_metadata: the metadata of two patients"
                    " cannot be mixed; set its probability to 0 or head to image_only"
                )
            if recipe["aux_loss_weight"] > 0:
                yield (
                    f"{where}.augmentation.{kind}: not with aux_loss_weight above 0: a diagnosis cannot be mixed; set"
                    " either to 0"
                )


def _vanished_image(where: str, layers: dict[str, Any], size: int) -> Iterator[str]:
    """Follow the side of the image through the baseline network, which must leave a pixel of it."""
    sides = feature_sides(layers, size)
    if 0 in sides:
        yield (
            f"{where}.baseline_cnn: of an image of {size} pixels nothing is left after convolution {sides.index(0) + 1}"
            f" of {len(sides)}; take larger images, fewer convolutions (shorter channels and kernels), or padding: same"
        )
