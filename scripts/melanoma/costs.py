"""What a study's jobs cost in hours and bytes: unit costs of costs.yaml times how much there is to do.

Nothing here is measured on the cluster where the study will run. Stages on CPUs are measured elsewhere; training is an
estimate from published speeds, and a user's own images a second replace it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Any

from melanoma.dag import FETCH, Job
from melanoma.errors import InputError
from melanoma.feature_maps import feature_sides
from melanoma.files import read_yaml
from melanoma.flops import MEGAPIXEL
from melanoma.study import is_tabular, reads_images

COSTS = Path(__file__).with_name("costs.yaml")
TRAINING_PASSES = 3  # forward, and backward for activations and for weights, each as much work as forward
VIEWS = {"none": 1, "flips": 4, "dihedral": 8, "crops": 6}
TRAINING = ("train_trial", "train_fold", "train_refit")


@dataclass(frozen=True)
class Study:
    """A study of `images` images: its resolved configuration, and what is known of the speed of its training.

    `prevalence` is the share of melanomas. `measured` are images a second of training by the name of a model, on the
    device that its recipe asks for; `counted` are networks that costs.yaml lacks, as `flops.count` returns them;
    `gpu_speed` is the speed of one GPU relative to that of costs.yaml.
    """

    config: dict[str, Any]
    images: int
    prevalence: float
    measured: Mapping[str, float] = field(default_factory=dict)
    counted: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    gpu_speed: float = 1.0

    @cached_property
    def costs(self) -> dict[str, Any]:
        """The unit costs."""
        return read_yaml(COSTS)

    @property
    def test_images(self) -> float:
        """Images of the test."""
        return self.images * self.config["split"]["test_fraction"]

    @property
    def train_images(self) -> float:
        """Images that are not of the test."""
        return self.images - self.test_images

    @property
    def fold_images(self) -> float:
        """Images of one fold."""
        return self.train_images / self.config["split"]["folds"]

    def recipe(self, model: str) -> dict[str, Any]:
        """Return the recipe of a model."""
        return self.config["models"][model]

    def size(self, model: str) -> int:
        """Return the side in pixels of what a model sees."""
        return self.recipe(model)["input_size"] or self.config["images"]["size"]


def epoch_images(images: float, prevalence: float, sampling: Mapping[str, Any]) -> float:
    """Return how many images an epoch shows of `images` training images.

    natural and balanced: as many as there are. bootstrap: twice the commoner class. oversample: the commoner class and
    `ratio` times as many of the rarer, or all there are of it if they are more; so 1:1 at the 1.8 % of ISIC 2020 is
    twice the benign images.
    """
    commoner = images * max(prevalence, 1 - prevalence)
    match sampling["name"]:
        case "bootstrap":
            return 2 * commoner
        case "oversample":
            return commoner + max(images - commoner, sampling["ratio"] * commoner)
        case _:
            return images


def baseline_gflops(settings: Mapping[str, Any], size: int) -> float:
    """Return the GFLOPs of one forward pass of baseline_cnn for one image of side `size`, 2 for a multiply and add."""
    inputs, total, sides = 3, 0, feature_sides(settings, size)
    for outputs, kernel, (side, _) in zip(settings["channels"], settings["kernels"], sides, strict=True):
        total += side**2 * kernel**2 * inputs * outputs
        inputs = outputs
    last = inputs * sides[-1][1] ** 2
    width = {"flatten": last, "average": inputs, "levels": sum(settings["channels"])}[settings["pooling"]]
    for outputs in settings["hidden"]:
        total, width = total + width * outputs, outputs
    return 2 * total / 1e9


def forward_gflops(study: Study, model: str) -> float:
    """Return the GFLOPs of one forward pass of a model's image network for one image; raise InputError if unknown."""
    recipe, size = study.recipe(model), study.size(model)
    if recipe["network"] == "baseline_cnn":
        return baseline_gflops(recipe["baseline_cnn"], size)
    return _network(study, model)["gflops"] * size**2 / MEGAPIXEL


def training_speed(study: Study, model: str) -> float:
    """Return the images a second that a training of the model takes: the slower of its device and its loader."""
    if model in study.measured:
        return study.measured[model]
    recipe, costs = study.recipe(model), study.costs["training"]
    if not reads_images(recipe):
        return 1000 / costs["metadata_ms"]
    asked = recipe["resources"]
    gpus = asked["gpus"] * asked["nodes"]
    if gpus == 0:
        rate = costs["cpu_gflops_per_thread"] * asked["threads"] / (TRAINING_PASSES * forward_gflops(study, model))
    else:
        rate = gpu_speed(study, model) * study.gpu_speed * (1 if gpus == 1 else gpus * costs["scaling"])
    if recipe["backbone"]["recompute"]:
        rate *= costs["recompute"]
    return min(rate, loader_speed(study, model))


def gpu_speed(study: Study, model: str) -> float:
    """Return the images a second that the reference GPU trains on: published, or the work over a sustained rate."""
    recipe, gpu = study.recipe(model), study.costs["gpu"]
    precision = recipe["precision"]
    known = study.costs["networks"].get(recipe["network"], {})
    if "rtx_3090" not in known:
        own = "baseline_cnn_utilisation" if recipe["network"] == "baseline_cnn" else "utilisation"
        return gpu["peak_tflops"][precision] * 1e3 * gpu[own] / (TRAINING_PASSES * forward_gflops(study, model))
    published, faster = known["rtx_3090"], gpu["over_rtx_3090"][known["family"]]
    rate = published["images"] * (published["size"] / study.size(model)) ** 2 * faster
    return rate if precision == "bfloat16" else rate * gpu["float32_speed"]


def loader_speed(study: Study, model: str) -> float:
    """Return the images a second that a model's data workers make ready, one less than its threads."""
    asked = study.recipe(model)["resources"]
    workers = max(asked["threads"] - 1, 1) * asked["nodes"]
    return workers * 1000 / (study.costs["training"]["loader_ms_per_megapixel"] * study.size(model) ** 2 / MEGAPIXEL)


def job_hours(study: Study, job: Job) -> float:
    """Return how long a job runs once it has started, not counting what a scheduler adds.

    A training is taken to run all of its epochs: an upper bound, for early stopping and for refits.
    """
    if job.rule in TRAINING:
        return _training_seconds(study, job) / 3600
    if job.rule == "predict_model":
        return _prediction_seconds(study, job) / 3600
    kind, images = job.rule, study.images
    if job.rule.startswith(FETCH):
        kind = "fetched_folder" if "jpeg" in job.rule else "fetched_file"
    elif job.rule == "prepare_shard":
        images = study.images / study.config["images"]["shards"] / job.threads
    unit = study.costs["rules"].get(kind, study.costs["rules"]["any_other"])
    return (unit["fixed"] + unit.get("per_image", 0) * images + unit.get("per_pair", 0) * images**2) / 3600


def job_bytes(study: Study, job: Job) -> float:
    """Return the bytes that a job leaves on disk, as far as they count: downloads, prepared images, weights."""
    if job.rule.startswith(FETCH) and "jpeg" in job.rule:
        return study.images * study.costs["jpeg_bytes"]
    if job.rule == "prepare_shard":
        images = study.config["images"]
        return study.images / images["shards"] * 3 * images["size"] ** 2 * study.costs["stored"][images["compression"]]
    kept = job.rule in TRAINING and job.rule != "train_trial"
    return 4 * _parameters(study, job.model) if kept and job.model else 0


def checkpoint_bytes(study: Study, job: Job) -> float:
    """Return the bytes that a training's checkpoints take while it runs; they go when it ends."""
    if job.rule not in TRAINING or job.model is None:
        return 0
    return 4 * 4 * study.costs["checkpoints_kept"] * _parameters(study, job.model)


def runs_needed(study: Study, job: Job, limit_hours: float) -> int:
    """Return in how many runs a job ends under a limit: 1 is no resume.

    A training stops itself in time and goes on in the next run, which starts anew. Any other job has one run, whose
    limit it must meet.
    """
    if job.rule not in TRAINING:
        return 1
    start = study.costs["training"]["start_seconds"]
    usable = limit_hours * 3600 - study.costs["scheduler"]["leave_early_seconds"] - start
    if usable <= 0:
        raise InputError(f"A limit of {limit_hours:g} h leaves no time to train; ask for more")
    return ceil((job_hours(study, job) * 3600 - start) / usable)


def _training_seconds(study: Study, job: Job) -> float:
    model, recipe, start = job.model, study.recipe(job.model), study.costs["training"]["start_seconds"]
    judged = 0 if job.rule == "train_refit" else study.fold_images
    shown = epoch_images(study.train_images - judged, study.prevalence, recipe["sampling"])
    epoch = shown / training_speed(study, model) + judged / _prediction_speed(study, model)
    return start + recipe["epochs"] * epoch


def _prediction_seconds(study: Study, job: Job) -> float:
    recipe, split, test_by = study.recipe(job.model), study.config["split"], study.config["predict"]["test"]
    tta, folds = recipe["tta"], len(split["run_folds"])
    judges = 1 if test_by == "refit" else folds
    images = (folds * study.fold_images + judges * study.test_images) * len(recipe["seeds"] or [None])
    views = tta["n"] if tta["name"] == "random" else VIEWS[tta["name"]]
    return study.costs["training"]["start_seconds"] + views * images / _prediction_speed(study, job.model)


def _prediction_speed(study: Study, model: str) -> float:
    """A forward pass is a third of a training step, unless the loader is slower."""
    speed = TRAINING_PASSES * training_speed(study, model)
    return min(speed, loader_speed(study, model)) if reads_images(study.recipe(model)) else speed


def _parameters(study: Study, model: str) -> float:
    """Parameters of a model; those of the small networks are not worth counting."""
    recipe = study.recipe(model)
    small = is_tabular(recipe) or recipe["network"] in ("baseline_cnn", "metadata_mlp")
    return 1e6 * (1.0 if small or model in study.measured else _network(study, model)["parameters"])


def _network(study: Study, model: str) -> Mapping[str, float]:
    """What is known of the work of a published network."""
    network = study.recipe(model)["network"]
    found = study.costs["networks"].get(network) or study.counted.get(network)
    if found is None:
        raise InputError(
            f"models.{model}: how much work {network} is is not known. Let it be counted by --count, or give the images"
            f" a second that it trains on: --images-per-second {model}=100"
        )
    return found
