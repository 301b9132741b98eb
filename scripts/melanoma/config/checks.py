"""Checks that types cannot do: names that must exist elsewhere, and numbers that must fit together."""

from __future__ import annotations

import json
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from melanoma.config.base import option_type
from melanoma.config.errors import nearest, wrong_value
from melanoma.config.networks import TABULAR_NETWORKS, has_network, nearest_networks
from melanoma.config.recipe import Recipe, Tune
from melanoma.config.search_space import space_errors, trials, with_values

if TYPE_CHECKING:
    from melanoma.config.data import Source
    from melanoma.config.study import Fusion, Study

KNOWN_SUBGROUPS = ("source", "sex", "site", "skin_type", "age", "size")
WITHOUT_CONTEXT = "_without_context"
STACKING = ("logistic", "gradient_boosting")


def study_errors(study: Study) -> Iterator[str]:
    """Yield all errors of a study whose types are right. Each error begins with the dotted name of its key."""
    yield from _source_errors(study)
    yield from _download_errors(study.fetch)
    for name in study.data.subgroups:
        if name in KNOWN_SUBGROUPS:
            yield f"data.subgroups: {name} is a subgroup in any case; take it out of the list"
    folds = study.split.folds
    for fold in study.split.run_folds:
        if fold >= folds:
            yield f"split.run_folds: there is no fold {fold}; split.folds is {folds}, so 0 to {folds - 1}"
    if study.split.method == "saved" and study.split.file is None:
        yield "split.file: missing; method saved takes its split from split/split.parquet of another study's results"
    for key in ("identifiers", "images"):
        if study.report.shareable and getattr(study.report, key):
            yield f"report.{key}: true, but report.shareable leaves them out; take one of both out of the study"
    for name, fusion in study.fusions.items():
        yield from _fusion_errors(name, fusion, study)
        yield from _input_errors(f"fusions.{name}", fusion.inputs, study)
    for name, classification in study.classify.items():
        for key in ("gpus", "nodes"):
            if (asked := getattr(classification.resources, key)) > 1:
                yield f"classify.{name}.resources.{key}: {asked}, but a classification uses one; divide the images"
    for name, recipe in study.models.items():
        if recipe.reads_images and not study.has_images:
            yield f"models.{name}.network: {recipe.network} reads images; no source of this study has any"
        yield from recipe_errors(f"models.{name}", recipe, study.images.size)
        yield from _input_errors(f"models.{name}", recipe.metadata_inputs, study)
        if recipe.tune is not None:
            yield from _tuning_errors(f"models.{name}", recipe, recipe.tune, study.images.size)


def recipe_errors(where: str, recipe: Recipe, stored: int) -> Iterator[str]:
    """Yield the errors of a recipe, for stored images with a side of `stored` pixels."""
    yield from _option_errors(where, recipe)
    yield from _network_errors(where, recipe, stored)
    yield from _training_errors(where, recipe)


def _source_errors(study: Study) -> Iterator[str]:
    names = Counter(source.name for source in study.data.sources)
    for name in sorted(name for name, count in names.items() if count > 1):
        yield f"data.sources: two sources are named {name!r}; each name may be used once"
    for number, source in enumerate(study.data.sources):
        yield from _origin_errors(f"data.sources.{number}", source)
        if study.has_images and source.generate is None and source.images is None:
            yield f"data.sources: {source.name} has no images, others have; give all sources images, or none"


def _origin_errors(where: str, source: Source) -> Iterator[str]:
    """Find sources without a table and images, or with both of these and drawn ones."""
    read = source.table is not None or source.images is not None
    folders = source.layout == "folders" and source.images is not None
    complete = folders or (source.table is not None and "images" in source.model_fields_set)
    if read if source.generate is not None else not complete:
        yield f"{where}: give either table and images or generate; images: null is a study of tables alone"
    if folders and source.table is not None:
        yield f"{where}: the folders of images give the classes; give a table of other columns as metadata"
    if source.layout == "columns" and source.columns is None:
        yield f"{where}: missing 'columns' (columns: the table's name of each of our columns, as in image: file)"


def _input_errors(where: str, inputs: Sequence[str], study: Study) -> Iterator[str]:
    """Find inputs that no source has, where the study alone tells: all columns are named, and no image has tags."""
    if all(source.layout == "columns" and source.columns and source.images is None for source in study.data.sources):
        read = {
            ours
            for source in study.data.sources
            if source.columns
            for ours in source.columns.model_dump(exclude_none=True)
        }
        for name in (name for name in inputs if name in ("age", "sex", "site") and name not in read):
            yield (
                f"{where}: it reads {name}, and no source has that column: add data.sources.0.columns.{name} with the"
                f" table's name of it, or take a model without this input"
            )


def _download_errors(fetch: Mapping[str, Any]) -> Iterator[str]:
    """Find paths outside data/, where a download could replace the project's own files or the user's.

    Only writing is bound to data/: tables, images and weights files that exist are read from anywhere.
    """
    for path in fetch:
        if not posixpath.normpath(path).startswith("data/"):
            remedy = "name it data/... here and where it is used"
            yield f"fetch: {path!r} is not below data/, where all downloads go; {remedy}"
        elif "{" in path or "}" in path:
            yield f"fetch: {path!r} has braces, which are a wildcard to Snakemake; give the file another name"


def _fusion_errors(name: str, fusion: Fusion, study: Study) -> Iterator[str]:
    where, models = f"fusions.{name}", list(study.models)
    if name in models:
        yield f"{where}: a model has that name; give the fusion another"
    for member in fusion.members:
        if member not in models:
            yield f"{where}.members: no model {member!r}{nearest(member, models)}; models: {', '.join(models)}"
    if fusion.weights is not None and set(fusion.weights) != set(fusion.members):
        yield f"{where}.weights: give one number for each of {', '.join(fusion.members)}"
    if fusion.weights is not None and fusion.method != "weighted":
        yield f"{where}.weights: only method weighted takes weights; method is {fusion.method}"
    if fusion.context and fusion.method not in STACKING:
        yield f"{where}.context: only methods {' and '.join(STACKING)} use it, not {fusion.method}"
    if fusion.context and name + WITHOUT_CONTEXT in {*models, *study.fusions}:
        yield f"{where}: it is evaluated without context as {name + WITHOUT_CONTEXT}; give the other a new name"


def _option_errors(where: str, recipe: Recipe) -> Iterator[str]:
    """Find options that only another kind of model has."""
    if recipe.head == "image_and_metadata" and not recipe.reads_images:
        yield f"{where}.head: image_and_metadata needs an image network; {recipe.network} reads no image"
    if recipe.head == "image_and_metadata" and recipe.network == "nearest_neighbors":
        yield (
            f"{where}.head: nearest_neighbors compares images alone; leave head out, and fuse the model with one that"
            " reads metadata, or take linear_probe"
        )
    if recipe.is_external != (recipe.file is not None):
        yield f"{where}.file: network external_predictions needs the file of predictions, and no other network has one"
    if recipe.inputs != Recipe.model_fields["inputs"].default:
        if not recipe.is_tabular:
            yield f"{where}.inputs: only for {', '.join(TABULAR_NETWORKS)}; {recipe.network} has its own"
        elif recipe.network == "nearest_neighbors":
            yield f"{where}.inputs: nearest_neighbors compares images alone; leave them out"
        elif not recipe.metadata_inputs:
            yield f"{where}.inputs: linear_probe reads them only with head image_and_metadata; set it"
    for key in ("seeds", "tune"):
        if getattr(recipe, key) is not None and not recipe.is_trained:
            yield f"{where}.{key}: only for networks that are trained by epochs; {recipe.network} is not"


def _network_errors(where: str, recipe: Recipe, stored: int) -> Iterator[str]:
    """Find networks that do not exist or that do not fit their images."""
    layers = recipe.baseline_cnn
    if len(layers.channels) != len(layers.kernels):
        yield (
            f"{where}.baseline_cnn: {len(layers.channels)} channels but {len(layers.kernels)} kernels;"
            " give one kernel size for each convolution"
        )
    sides = layers.feature_sides(recipe.input_size or stored)
    if recipe.network == "baseline_cnn" and 0 in sides:
        yield (
            f"{where}.baseline_cnn: of an image of {recipe.input_size or stored} pixels nothing is left after"
            f" convolution {sides.index(0) + 1} of {len(sides)}; take larger images, fewer convolutions (shorter"
            " channels and kernels), or padding: same"
        )
    if recipe.input_size is not None and recipe.input_size > stored:
        yield f"{where}.input_size: {recipe.input_size} is larger than images.size {stored}"
    if recipe.tta.frame == "full_size" and recipe.input_size not in (None, stored) and not recipe.takes_any_size:
        yield (
            f"{where}.tta.frame: full_size gives {recipe.network} images of {stored} pixels, and it is built for"
            f" {recipe.input_size}; only resnest, efficientnet, and baseline_cnn with pooling average or levels take"
            " both. Choose scaled or center_crop"
        )
    key, network = "network", recipe.network
    if recipe.reads_features:
        key, network = f"{recipe.network}.network", getattr(recipe, recipe.network).network
    library, _, name = network.partition("/")
    if library == "timm" and not has_network(name):
        meant = " or ".join(f"timm/{match}" for match in nearest_networks(name))
        yield f"{where}.{key}: timm has no network {name!r}" + (f" (did you mean {meant}?)" if meant else "")
    if library == "timm" and recipe.backbone.pretrained and recipe.backbone.weights is None:
        yield (
            f"{where}.backbone.weights: {network} starts from pretrained weights: name their file here, and"
            " under fetch its address if it is to be downloaded; or set backbone.pretrained to false to start from"
            " random weights"
        )


def _training_errors(where: str, recipe: Recipe) -> Iterator[str]:
    """Find settings with which nothing is learned, or which have no effect."""
    schedule = recipe.schedule
    warmup = 0 if schedule.name == "1cycle" else schedule.warmup_epochs
    if warmup >= recipe.epochs:
        yield (
            f"{where}.schedule.warmup_epochs: {warmup:g} epochs of warm-up leave none of {recipe.epochs} at the full"
            " learning rate"
        )
    elif warmup and schedule.per == "epoch" and schedule.warmup_start_factor == 0:
        yield (
            f"{where}.schedule: by epoch, a warm-up from 0 trains the first epoch at a learning rate of 0; give"
            " warmup_start_factor, or per: batch"
        )
    if recipe.early_stopping_patience is not None and recipe.monitor == "last":
        yield (
            f"{where}.early_stopping_patience: with monitor: last each epoch counts as the best one, so training never"
            " stops early"
        )
    for group in recipe.optimizer.groups:
        try:
            re.compile(group.match)
        except re.error as error:
            yield f"{where}.optimizer.groups: {group.match!r} is no regular expression: {error}"
    narrowest, widest = recipe.augmentation.crop.ratio
    if not narrowest <= 1 <= widest:
        yield (
            f"{where}.augmentation.crop.ratio: 1 is not between {narrowest:g} and {widest:g}; give the narrowest ratio"
            " first and the widest second, such as [0.75, 1.3333]"
        )
    if recipe.multi_sample_dropout > 1 and recipe.dropout == 0:
        yield f"{where}.multi_sample_dropout: without dropout all samples are equal; set dropout, such as 0.5"
    parts, processes = recipe.gradient_accumulation_steps, max(recipe.resources.gpus, 1) * recipe.resources.nodes
    if recipe.is_trained and recipe.batch_size < parts * processes:
        yield (
            f"{where}.batch_size: {recipe.batch_size} images cannot be divided into {parts} part(s)"
            f" (gradient_accumulation_steps) on each of {processes} process(es); take a larger batch_size or fewer"
            " parts"
        )


def _tuning_errors(where: str, recipe: Recipe, tune: Tune, stored: int) -> Iterator[str]:
    """Find options that a recipe does not have, values that they cannot have, and trials that cannot be trained."""
    errors = [f"{where}.tune.{error}" for error in space_errors(tune)]
    if not errors:
        errors = [
            error
            for name, values in tune.space.items()
            for value in (values if isinstance(values, tuple) else values.ends)
            for error in wrong_value(f"{where}.tune.space.{name}", option_type(Recipe, name), value)
        ]
    if errors:
        yield from errors
        return
    found: dict[str, str] = {}
    for values in trials(tune).values():
        try:
            trial = with_values(recipe, values)
        except LookupError:
            yield f"{where}.tune.space: the recipe has no such place as one of {', '.join(values)}; give the list first"
            return
        for error in recipe_errors(where, trial, stored):
            found.setdefault(error, f"{error} (in the trial {json.dumps(values)})")
    yield from found.values()
