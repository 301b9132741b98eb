"""Options of a classification: a bundle, the images that it classifies, and what the answers have."""

from typing import Annotated, Literal

from pydantic import Field

from melanoma.config.base import Distinct, Flag, Number, Section, Text
from melanoma.config.recipe import Resources


class Classification(Section):
    """Images that a bundle classifies, as scripts/classify.py does; see docs/bundles.md."""

    bundle: Text = Field(
        description="Folder that bundle.py wrote.",
        examples=["bundles/demo"],
    )
    images: Text | Annotated[Distinct[Text], Field(min_length=1)] = Field(
        description="Images, and folders of images with their subfolders.", examples=["new_images"]
    )
    table: Text | None = Field(
        default=None, description="Table with the column image and any of patient, age, sex, site."
    )
    format: Literal["answers", "kaggle"] = Field(
        default="answers", description="`answers` has all columns, `kaggle` has image_name and target only."
    )
    threshold: Text = Field(
        default="youden",
        description=(
            "Threshold of the decision. bundle.json and the model card list those of the bundle, and say what each was"
            " chosen for."
        ),
    )
    prevalence: Number | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Prevalence of melanoma among these images. The default is that of the training images.",
        examples=[0.02],
    )
    error_rate: Number | None = Field(
        default=None,
        gt=0,
        lt=1,
        description="Add conformal sets that err in this share of each class. The default adds none.",
        examples=[0.1],
    )
    explain: Flag = Field(
        default=False, description="Add maps to the page: where the networks see evidence of melanoma."
    )
    resources: Resources = Field(default_factory=Resources, description="What the job requests: at most one GPU.")
