"""Options of the training of a network: loss, optimizer, learning-rate schedule and sampling."""

from typing import Literal

from pydantic import Field

from melanoma.config.base import Flag, Number, Probability, Section, Text, Whole, unread_if


class Loss(Section):
    """The loss to minimize."""

    name: Literal["bce", "weighted_bce", "focal"] = Field(
        default="bce",
        description=(
            "`bce` is binary cross entropy. `weighted_bce` is the same with a weight of melanomas. `focal` is the focal"
            " loss of Lin et al. (2017)."
        ),
    )
    label_smoothing: Number = Field(
        default=0.0, ge=0, lt=1, description="Targets become smoothing / 2 and 1 - smoothing / 2."
    )
    positive_weight: Number | None = Field(
        default=None,
        gt=0,
        json_schema_extra=unread_if(name=["bce", "focal"]),
        description=(
            "For weighted_bce, the weight of a melanoma. `null` is the number of benign training images for each"
            " melanoma."
        ),
    )
    gamma: Number = Field(
        default=2.0,
        ge=0,
        json_schema_extra=unread_if(name=["bce", "weighted_bce"]),
        description="For focal, the exponent that reduces the loss of easy images.",
    )
    alpha: Number | None = Field(
        default=None,
        gt=0,
        lt=1,
        json_schema_extra=unread_if(name=["bce", "weighted_bce"]),
        description="For focal, the weight of melanomas; benign images have 1 - alpha. `null` weights neither.",
    )


class ParameterGroup(Section):
    """Parameters with a learning rate or a weight decay of their own."""

    match: Text = Field(
        description=(
            "Regular expression that is searched in the names of the parameters, which begin with image., metadata.,"
            " hidden. or last. A parameter is in the first group that matches."
        ),
        examples=["^metadata"],
    )
    learning_rate: Number | None = Field(
        default=None, gt=0, description="Learning rate of the group. `null` is the optimizer's."
    )
    weight_decay: Number | None = Field(
        default=None, ge=0, description="Weight decay of the group. `null` is the optimizer's."
    )


class Optimizer(Section):
    """The optimizer, one of torch."""

    name: Literal["adam", "adamw", "sgd"] = Field(
        default="adam",
        description=(
            "`adam` adds the weight decay to the gradient. `adamw` decouples the weight decay from the gradient. `sgd`"
            " has momentum."
        ),
    )
    learning_rate: Number = Field(default=0.001, gt=0, description="Learning rate. The schedule multiplies it.")
    weight_decay: Number = Field(default=0.01, ge=0, description="Weight decay.")
    momentum: Number = Field(
        default=0.9,
        ge=0,
        lt=1,
        json_schema_extra=unread_if(name=["adam", "adamw"]),
        description="Nesterov momentum of sgd.",
    )
    groups: tuple[ParameterGroup, ...] = Field(
        default=(),
        description="Groups of parameters with rates of their own.",
        examples=[[{"match": "^metadata", "learning_rate": 0.01}]],
    )
    no_weight_decay_on_norm_and_bias: Flag = Field(
        default=False, description="`true` applies no weight decay to biases and normalization layers."
    )
    max_grad_norm: Number | None = Field(
        default=None, gt=0, description="Largest norm of the gradient. `null` does not clip."
    )


class Schedule(Section):
    """The factor of each learning rate, from the first epoch to the last one."""

    name: Literal["step", "cosine", "1cycle", "exponential", "constant"] = Field(
        default="cosine",
        description=(
            "`step` multiplies by gamma after every step_size epochs. `cosine` is half a cosine from 1 to"
            " min_lr_factor. `1cycle` (Smith 2018) rises from 1/25 to 1 in 30 % of the time, then falls to"
            " min_lr_factor, both on a cosine. `exponential` is min_lr_factor + (1 - min_lr_factor) x gamma ^ epoch."
            " `constant` is 1."
        ),
    )
    per: Literal["epoch", "batch"] = Field(
        default="epoch", description="Whether the learning rate changes with each epoch or with each batch."
    )
    gamma: Number = Field(
        default=0.5,
        gt=0,
        le=1,
        json_schema_extra=unread_if(name=["cosine", "1cycle", "constant"]),
        description="The factor of step and exponential.",
    )
    step_size: Whole = Field(
        default=1,
        ge=1,
        le=10_000,
        json_schema_extra=unread_if(name=["cosine", "1cycle", "exponential", "constant"]),
        description="Epochs between two steps.",
    )
    warmup_epochs: Number = Field(
        default=0.0,
        ge=0,
        json_schema_extra=unread_if(name=["1cycle"]),
        description=(
            "Epochs before the schedule in which the factor grows evenly to 1. Not for 1cycle, which has its own warm-"
            " up."
        ),
    )
    warmup_start_factor: Probability = Field(
        default=0.0,
        json_schema_extra=unread_if(name=["1cycle"], warmup_epochs=[0]),
        description="The factor at the start of the warm-up.",
    )
    min_lr_factor: Probability = Field(
        default=0.0,
        json_schema_extra=unread_if(name=["step", "constant"]),
        description="The factor at the end of cosine, 1cycle and exponential.",
    )


class Sampling(Section):
    """How the images of an epoch are drawn."""

    name: Literal["none", "oversample", "balanced", "bootstrap"] = Field(
        default="oversample",
        description=(
            "`none` takes each training image once. `oversample` repeats random images of the rarer class, until it has"
            " ratio times as many images as the other one. `balanced` draws as many images as there are, with"
            " replacement; both classes have the same probability. `bootstrap` does so, and all images have the same"
            " probability."
        ),
    )
    ratio: Number = Field(
        default=1.0,
        gt=0,
        le=1,
        json_schema_extra=unread_if(name=["none", "balanced", "bootstrap"]),
        description="For oversample, images of the rarer class for each image of the other.",
    )
