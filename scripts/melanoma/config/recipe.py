"""Options of a recipe: all that makes one model."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from melanoma.config.augmentation import TTA, Augmentation
from melanoma.config.base import Distinct, Flag, Input, Number, Section, Seed, Text, Whole
from melanoma.config.errors import read_settings
from melanoma.config.networks import (
    EXTERNAL,
    FROZEN_FEATURES,
    LINEAR_PROBE,
    OFFICIAL_WEIGHTS,
    TABULAR_NETWORKS,
    WEIGHTS_FOLDER,
    Backbone,
    BaselineCNN,
    GradientBoosting,
    LinearProbe,
    MetadataNetwork,
    NearestNeighbors,
    Network,
    RandomForest,
    Share,
    Width,
)
from melanoma.config.optimization import Loss, Optimizer, Sampling, Schedule


class Range(Section):
    """A range from which the value of an option is drawn."""

    range: tuple[Number, Number] | None = Field(
        default=None, description="Least and greatest value of a uniform distribution."
    )
    log: tuple[Annotated[Number, Field(gt=0)], Annotated[Number, Field(gt=0)]] | None = Field(
        default=None, description="Least and greatest value of a distribution that is uniform in the logarithm."
    )

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the greatest value."""
        return self.range or self.log or (0.0, 0.0)


class Tune(Section):
    """A search space. Each trial is trained like the first of split.run_folds and scored on its validation images."""

    method: Literal["grid", "random", "quasi_random"] = Field(
        default="grid",
        description=(
            "`grid` tries all combinations of lists. `random` draws each option uniformly and independently."
            " `quasi_random` draws from a scrambled Sobol sequence, which covers the space more evenly."
        ),
    )
    trials: Whole | None = Field(
        default=None,
        ge=2,
        le=1000,
        description="For random and quasi_random, the number of trials. Equal trials are run once.",
    )
    seed: Seed = Field(default=1, description="Another seed draws other trials.")
    score: Literal["auroc", "average_precision", "loss"] = Field(
        default="auroc",
        description=(
            "Score of a trial, in the epoch that monitor selects. The best trial has the highest score, or the lowest"
            " loss."
        ),
    )
    space: dict[Text, Annotated[Distinct[Any], Field(min_length=1)] | Range] = Field(
        min_length=1,
        description=(
            "For each option to tune, a list of values or a range. The name of the option has dots, as in"
            " optimizer.learning_rate or, in a list, optimizer.groups.0.learning_rate."
        ),
        examples=[{"optimizer.learning_rate": {"log": [1e-5, 1e-3]}, "metadata.widths": [[64], [64, 64]]}],
    )


class Resources(Section):
    """What a job of the model requests."""

    gpus: Whole = Field(
        default=0, ge=0, le=64, description="GPUs on each node. 0 trains on the CPU. A GPU that is missing is an error."
    )
    nodes: Whole = Field(default=1, ge=1, le=64, description="Nodes. More than one needs --profile slurm.")
    threads: Whole = Field(default=2, ge=1, le=1024, description="CPU threads on each node.")
    mem_mb: Whole = Field(default=4000, ge=500, le=16_000_000, description="Memory in MB on each node.")
    runtime: Whole = Field(default=120, ge=1, le=525_600, description="Run time in minutes.")


class Recipe(Section):
    """All that makes one model."""

    network: Network = Field(
        description=(
            "baseline_cnn, resnest50 to resnest269 (resnest), efficientnet_b0 to b7 (torchvision) and timm/NAME (any"
            " network of timm) read images. linear_probe is a logistic regression on the features of such a network,"
            " which is not trained; nearest_neighbors compares these features with those of the training images."
            " metadata_mlp reads age, sex and site. logistic_regression, random_forest, naive_bayes and"
            " gradient_boosting read the columns under inputs. external_predictions reads a file of predictions that"
            " were computed elsewhere."
        ),
        examples=["timm/resnet50"],
    )
    file: Text | None = Field(
        default=None,
        description=(
            "For external_predictions, the table, CSV or Parquet, such as a submission to Kaggle (image_name, target);"
            " docs/predictions.md describes it."
        ),
    )
    head: Literal["image_only", "image_and_metadata"] = Field(
        default="image_only",
        description=(
            "`image_only` reads the image alone. `image_and_metadata` concatenates the features of the image and of a"
            " metadata network before the last layer; for linear_probe, the features of the image and the columns under"
            " inputs."
        ),
    )
    head_hidden: tuple[Width, ...] = Field(
        default=(),
        description="Widths of hidden layers between the features and the last layer, each with batch norm and ReLU.",
        examples=[[64]],
    )
    input_size: Whole | None = Field(
        default=None,
        ge=16,
        le=4096,
        description=(
            "Side in pixels of the network's input in training: the stored image, or the crop of its augmentation, is"
            " resized to it. `null` is the stored size. tta.frame says what prediction sees."
        ),
    )
    baseline_cnn: BaselineCNN = Field(default_factory=BaselineCNN, description=BaselineCNN.__doc__)
    backbone: Backbone = Field(default_factory=Backbone, description=Backbone.__doc__)
    dropout: Share = Field(default=0.0, description="Share of features that dropout removes before the last layer.")
    multi_sample_dropout: Whole = Field(
        default=1,
        ge=1,
        le=1000,
        description=(
            "Dropout masks whose outputs are averaged in training (Inoue 2019 averages the losses). More than one needs"
            " dropout."
        ),
    )
    aux_loss_weight: Number = Field(
        default=0.0,
        ge=0,
        description=(
            "Weight of an auxiliary loss: the diagnosis, among those of the training images, from the same features. 0"
            " is none. Images without a diagnosis do not count in it."
        ),
    )
    metadata: MetadataNetwork = Field(default_factory=MetadataNetwork, description=MetadataNetwork.__doc__)
    random_forest: RandomForest = Field(default_factory=RandomForest, description=RandomForest.__doc__)
    gradient_boosting: GradientBoosting = Field(default_factory=GradientBoosting, description=GradientBoosting.__doc__)
    linear_probe: LinearProbe = Field(default_factory=LinearProbe, description=LinearProbe.__doc__)
    nearest_neighbors: NearestNeighbors = Field(default_factory=NearestNeighbors, description=NearestNeighbors.__doc__)
    inputs: Distinct[Input] = Field(
        default=("age", "sex", "site"),
        min_length=1,
        description=(
            "The inputs of logistic_regression, random_forest, naive_bayes and gradient_boosting, and of linear_probe"
            " with head image_and_metadata. images_per_patient and size (width and height of the original image)"
            " describe how images were taken, not what they show."
        ),
    )
    seed: Seed = Field(
        default=1, description="Seed of the initial weights, the sample order, augmentation and dropout."
    )
    seeds: Distinct[Seed] | None = Field(
        default=None,
        min_length=2,
        description=(
            "Train every fold and the refit once with each of these seeds instead of seed, and average the logits. The"
            " report gives the spread of the AUROC over the seeds. `null` trains once, with seed."
        ),
        examples=[[1, 2, 3]],
    )
    tune: Tune | None = Field(
        default=None, description="Tune options of this recipe by trials. `null` trains the recipe as it is."
    )
    epochs: Whole = Field(
        default=11,
        ge=1,
        le=10_000,
        description="Epochs of a fold. The refit trains as many epochs as the best epoch on the validation images.",
    )
    monitor: Literal["loss", "auroc", "last"] = Field(
        default="auroc",
        description=(
            "The score that selects the best epoch on the validation images. `last` takes the last epoch, so that"
            " out-of-fold predictions are not selected by their own evaluation."
        ),
    )
    early_stopping_patience: Whole | None = Field(
        default=None,
        ge=1,
        le=10_000,
        description="A fold stops after so many epochs without a better one. `null` never stops early.",
    )
    batch_size: Whole = Field(
        default=20,
        ge=3,
        le=65_536,
        description=(
            "Images in each step of the optimizer, over all GPUs and parts. The batches of an epoch differ by at most"
            " one image."
        ),
    )
    gradient_accumulation_steps: Whole = Field(
        default=1,
        ge=1,
        le=65_536,
        description=(
            "Number of parts of a batch on each GPU. Smaller parts take less memory. Batch norm sees the parts."
        ),
    )
    loss: Loss = Field(default_factory=Loss, description=Loss.__doc__)
    optimizer: Optimizer = Field(default_factory=Optimizer, description=Optimizer.__doc__)
    schedule: Schedule = Field(default_factory=Schedule, description=Schedule.__doc__)
    ema: Number | None = Field(
        default=None,
        gt=0,
        lt=1,
        description=(
            "Decay of the exponential moving average of the weights over steps. The average replaces the weights in"
            " evaluation and prediction. The decay grows as (1 + step) / (10 + step) up to this value. `null` is no"
            " average."
        ),
        examples=[0.999],
    )
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="`bfloat16` is mixed precision. A device without bfloat16 is an error."
    )
    compile: Flag = Field(
        default=False, description="Compile the network by torch.compile. This takes minutes; then training is faster."
    )
    sync_batchnorm: Flag = Field(
        default=False,
        description=(
            "On several GPUs, batch norm over the images of all of them. On the CPU, several processes with this option"
            " are an error."
        ),
    )
    sampling: Sampling = Field(default_factory=Sampling, description=Sampling.__doc__)
    augmentation: Augmentation = Field(default_factory=Augmentation, description=Augmentation.__doc__)
    tta: TTA = Field(default_factory=TTA, description=TTA.__doc__)
    checkpoint_batches: Whole = Field(
        default=500,
        ge=1,
        le=1_000_000,
        description="Batches between two checkpoints. Checkpoints after each epoch and by time are added.",
    )
    checkpoint_minutes: Number = Field(default=10.0, gt=0, le=10_080, description="Minutes between two checkpoints.")
    resources: Resources = Field(default_factory=Resources, description=Resources.__doc__)

    @property
    def is_tabular(self) -> bool:
        """Tell whether the model is fitted by scikit-learn, to metadata or to the features of a frozen network."""
        return self.network in TABULAR_NETWORKS

    @property
    def reads_features(self) -> bool:
        """Tell whether the model reads the features of a frozen network."""
        return self.network in FROZEN_FEATURES

    @property
    def is_probe(self) -> bool:
        """Tell whether the model is a logistic regression on the features of a frozen network."""
        return self.network == LINEAR_PROBE

    @property
    def is_external(self) -> bool:
        """Tell whether the model is a file of predictions that were computed elsewhere."""
        return self.network == EXTERNAL

    @property
    def is_trained(self) -> bool:
        """Tell whether the model is a network that is trained by epochs."""
        return not self.is_tabular and not self.is_external

    @property
    def reads_images(self) -> bool:
        """Tell whether the model reads pixels."""
        return self.reads_features or (self.is_trained and self.network != "metadata_mlp")

    @property
    def metadata_inputs(self) -> tuple[str, ...]:
        """The columns of the catalog that the model reads beside the image."""
        if self.is_tabular:
            return self.inputs if not self.reads_features or self.head == "image_and_metadata" else ()
        network = self.network == "metadata_mlp" or (self.is_trained and self.head == "image_and_metadata")
        return ("age", "sex", "site") if network else ()

    @property
    def is_backbone(self) -> bool:
        """Tell whether the network is one of resnest, torchvision or timm."""
        return self.is_trained and self.reads_images and self.network != "baseline_cnn"

    @property
    def frozen_network(self) -> "Recipe | None":
        """The network whose features the model reads, as a recipe of all that decides them; None without one."""
        if not self.reads_features:
            return None
        unread = {"frozen_epochs": 0, "gradient_checkpointing": False}
        return Recipe(
            network=getattr(self, self.network).network,
            backbone=self.backbone.model_copy(update=unread),
            input_size=self.input_size,
            precision=self.precision,
            seed=Recipe.model_fields["seed"].default if self.backbone.pretrained else self.seed,
            resources=self.resources,
        )

    @property
    def takes_any_size(self) -> bool:
        """Tell whether the network is known to take images of other sizes than that of its training."""
        pooled = self.network == "baseline_cnn" and self.baseline_cnn.pooling != "flatten"
        return pooled or self.network in OFFICIAL_WEIGHTS

    @property
    def weights_file(self) -> str | None:
        """The path of the pretrained weights that the network starts from; None if it starts from random weights."""
        if self.frozen_network is not None:
            return self.frozen_network.weights_file
        if not self.is_backbone or not self.backbone.pretrained:
            return None
        return self.backbone.weights or f"{WEIGHTS_FOLDER}/{OFFICIAL_WEIGHTS[self.network]}"


def read_recipe(path: str | Path) -> Recipe:
    """Return the recipe of a settings file; options that the file lacks are at their defaults.

    Raises InputError if the file holds no recipe.
    """
    return read_settings(Recipe, path)
