"""A study: all that decides what is computed. A profile decides where it is computed."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator

from melanoma.common.errors import InputError, listing
from melanoma.config.base import Distinct, Flag, Input, Name, Number, Section, Seed, Text, Whole, unread_if
from melanoma.config.checks import WITHOUT_CONTEXT, study_errors
from melanoma.config.classification import Classification
from melanoma.config.data import KNOWN_DOWNLOADS, Data, Downloads, Images
from melanoma.config.errors import explain, placed
from melanoma.config.networks import GradientBoosting
from melanoma.config.recipe import Recipe
from melanoma.config.split import Split


class Predict(Section):
    """How the test images are predicted."""

    test: Literal["refit", "fold_mean"] = Field(
        default="refit",
        description=(
            "`refit` uses the model trained again on all folds. `fold_mean` is the mean of the models of the folds that"
            " are run."
        ),
    )


class Fusion(Section):
    """A late fusion of models. What is fitted is fitted to out-of-fold predictions, in folds of patients."""

    method: Literal["mean", "logit_mean", "rank_mean", "weighted", "logistic", "gradient_boosting"] = Field(
        default="mean",
        description=(
            "`mean` of probabilities, `logit_mean` of logits, `rank_mean` of percentile ranks, `weighted` mean of"
            " probabilities with given or fitted weights. `logistic` regression and `gradient_boosting` read the"
            " members' logits, inputs and context."
        ),
    )
    members: Distinct[Text] = Field(min_length=2, description="The models to fuse.", examples=[["cnn", "mlp"]])
    weights: dict[Text, Annotated[Number, Field(ge=0)]] | None = Field(
        default=None, description="For weighted, one number for each member. `null` fits the weights."
    )
    prior_correction: Flag = Field(
        default=True,
        json_schema_extra=unread_if(method=["rank_mean"]),
        description=(
            "Shift the log-odds of each member from the prevalence of its training (over-sampling, class weights, other"
            " sources) to that of the study before the fusion; see docs/fusion.md."
        ),
    )
    inputs: Distinct[Input] = Field(
        default=("age", "sex", "site"),
        json_schema_extra=unread_if(method=["mean", "logit_mean", "rank_mean", "weighted"]),
        description="For logistic and gradient_boosting, the inputs beside the members; see the recipe's inputs.",
    )
    context: Flag = Field(
        default=False,
        description=(
            "For logistic and gradient_boosting, also read the patient context. It compares each member's logit with"
            " those of the patient's images (difference to the mean, z-value, rank). For members that read images, it"
            " compares the image's embedding with those of the patient's other images (distance, z-value, rank). It has"
            " the number of the patient's images, too. The same fusion without context, NAME_without_context, is"
            " evaluated beside it."
        ),
    )
    image_count: Flag = Field(
        default=True,
        json_schema_extra=unread_if(context=[False]),
        description=(
            "Let the patient context have the number of the patient's images. In an archive it is predictive of the"
            " label, in a clinic it need not be; a second fusion with `false` shows what the context is worth without."
        ),
    )
    gradient_boosting: GradientBoosting = Field(
        default_factory=GradientBoosting,
        json_schema_extra=unread_if(method=["mean", "logit_mean", "rank_mean", "weighted", "logistic"]),
        description=GradientBoosting.__doc__,
    )


class Fuse(Section):
    """How fusions are fitted, and when one of them is the selected model."""

    significance_level: Number = Field(
        default=0.05,
        gt=0,
        lt=1,
        description=(
            "The best single model is the selected model unless a fusion has a higher out-of-fold AUROC at this level"
            " of a one-sided paired test over patients, corrected for the number of fusions."
        ),
    )
    replicates: Whole = Field(default=2000, ge=100, le=1_000_000, description="Bootstrap replicates of that test.")
    folds: Whole = Field(
        default=5,
        ge=2,
        le=50,
        description=(
            "Folds of patients in which a fusion is fitted, so that it predicts no image that it was fitted to."
        ),
    )
    seed: Seed = Field(default=1, description="Seed of these folds, of gradient boosting and of the bootstrap.")


class FusionSettings(Fusion):
    """A fusion as its settings file has it: with the folds and the seed of its fit, those of `Fuse`."""

    folds: Whole = Field(default=5, ge=2, le=50, description="Folds of patients in which the fusion is fitted.")
    seed: Seed = Field(default=1, description="Seed of these folds and of gradient boosting.")


class Evaluate(Section):
    """How the predictions of the test images are evaluated."""

    replicates: Whole = Field(
        default=2000,
        ge=100,
        le=1_000_000,
        description="Bootstrap replicates of each confidence interval. Patients are drawn, not images.",
    )
    confidence_level: Number = Field(default=0.95, gt=0, lt=1, description="Level of each confidence interval.")
    seed: Seed = Field(default=1, description="Seed of the bootstrap.")
    target_sensitivity: Number = Field(
        default=0.9,
        gt=0,
        le=1,
        description="Sensitivity of one of the thresholds. All thresholds are selected out of fold.",
    )
    threshold_probabilities: Distinct[Annotated[Number, Field(gt=0, lt=1)]] = Field(
        default=(0.01, 0.02, 0.05, 0.1, 0.2),
        min_length=1,
        description=(
            "Threshold probabilities of the net benefit: the risk from which on a lesion is treated. At 0.05, a missed"
            " melanoma is as bad as 19 needless treatments."
        ),
    )
    prevalence: Number | None = Field(
        default=None,
        gt=0,
        lt=1,
        description=(
            "Share of melanomas where the model would be used, such as 0.01. Predictive values, net benefit and average"
            " precision are given at this share, too. `null` is none."
        ),
        examples=[0.01],
    )
    robustness: Distinct[Annotated[Whole, Field(ge=1, le=5)]] = Field(
        default=(),
        description=(
            "Severities, from 1 to 5, at which each trained network that reads images predicts corrupted copies of the"
            " test images, too: blur, JPEG, brightness, color cast, hair, size. Each severity costs six predictions of"
            " the test. Empty is none."
        ),
        examples=[[1, 3, 5]],
    )
    max_test_configurations: Whole = Field(
        default=10,
        ge=1,
        le=1_000_000,
        description=(
            "Warn if the labels of one test set were read for more configurations; docs/leakage.md says what the"
            " test-set access log counts."
        ),
    )


class Report(Section):
    """What the report may show."""

    identifiers: Flag = Field(
        default=False,
        description=(
            "Show the names of images, patients, lesions and folders. `false` numbers images and patients instead, so"
            " that the page can be passed on."
        ),
    )
    images: Flag | None = Field(
        default=None,
        description=(
            "Show images. `null` shows those that the demo generated or whose license is a Creative Commons license."
        ),
    )
    shareable: Flag = Field(
        default=False,
        description=(
            "Write a report for strangers: without photographs, without names, and without counts of 1 to 9 and what"
            " would give them back; see docs/privacy.md."
        ),
    )


class Study(Section):
    """A study: all that decides what is computed."""

    study: Name = Field(
        description="Name of the study. Its results go to results/<study>/ and its logs to logs/<study>/.",
        examples=["isic2020"],
    )
    data: Data = Field(description=Data.__doc__)
    fetch: Downloads = Field(
        default_factory=KNOWN_DOWNLOADS.copy,
        description=(
            "Downloads of missing files: for each path below data/, as other sections name it, its address. A path that"
            " exists stays as it is. The official files of ISIC 2020 and the pretrained weights are known already."
        ),
    )
    images: Images = Field(default_factory=Images, description=Images.__doc__)
    split: Split = Field(default_factory=Split, description=Split.__doc__)
    models: dict[Name, Recipe] = Field(
        min_length=1,
        description="The recipes, by the name of the model. A change of one recipe reruns that model alone.",
    )
    predict: Predict = Field(default_factory=Predict, description=Predict.__doc__)
    fusions: dict[Name, Fusion] = Field(default_factory=dict, description="Late fusions of models, by name.")
    fuse: Fuse = Field(default_factory=Fuse, description=Fuse.__doc__)
    evaluate: Evaluate = Field(default_factory=Evaluate, description=Evaluate.__doc__)
    report: Report = Field(default_factory=Report, description=Report.__doc__)
    classify: dict[Name, Classification] = Field(
        default_factory=dict,
        description=(
            "Images that a bundle classifies, by name: results/<study>/classify/<name>.csv and .html. If the bundle is"
            " that of the study itself, results/<study>/bundle, it is packed first. With study and classify alone,"
            " without data and models, nothing is trained."
        ),
    )

    @field_validator("fetch", "models", "fusions", "classify", mode="before")
    @classmethod
    def _without_null(cls, named: Any) -> Any:
        """Remove what a later file sets to null."""
        return {name: item for name, item in named.items() if item is not None} if isinstance(named, dict) else named

    @property
    def has_images(self) -> bool:
        """Tell whether the study has images, and not tables alone."""
        return any(source.generate is not None or source.images is not None for source in self.data.sources)

    @property
    def all_fusions(self) -> dict[str, Fusion]:
        """The fusions by name. Each one with patient context is followed by the same fusion without it."""
        fusions = {}
        for name, fusion in self.fusions.items():
            fusions[name] = fusion
            if fusion.context:
                fusions[name + WITHOUT_CONTEXT] = fusion.model_copy(update={"context": False})
        return fusions


class ClassificationsAlone(Study):
    """A study that trains nothing: its bundles come from elsewhere."""

    data: Data = Data.model_construct(sources=())
    models: dict[Name, Recipe] = Field(default_factory=dict)


def resolve(config: Mapping[str, Any], places: Mapping[str, str] | None = None) -> Study:
    """Return the study that a configuration gives, with every default.

    Raises InputError that lists all unknown keys, wrong values and broken references at once, each with its file and
    line if `places` has them by the dotted name of the key (see melanoma.config.yaml_files).
    """
    alone = bool(config.get("classify")) and not {"data", "models"} & set(config)
    kind = ClassificationsAlone if alone else Study
    try:
        study = kind.model_validate(config)
        errors = list(study_errors(study))
    except ValidationError as error:
        errors = explain(error, kind, config)
    if errors:
        lines = [placed(line, places or {}) for line in errors]
        raise InputError(f"The configuration has {len(errors)} error(s):\n{listing(lines, limit=30)}")
    return study
