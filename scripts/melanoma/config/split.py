"""Options of the split into test and folds."""

from typing import Annotated, Literal

from pydantic import Field

from melanoma.config.base import Distinct, Flag, Number, Section, Seed, Text, Whole, unread_if


class NearDuplicates(Section):
    """The search for images that show one photograph, of any patient, source or year."""

    search: Flag = Field(default=True, description="`false` skips the search; then near-duplicates may leak.")
    same: Text | None = Field(
        default=None,
        description=(
            "Table of pairs that show one photograph although the search does not find them. Its first two columns are"
            " image names. Each pair stays together."
        ),
    )
    different: Text | None = Field(
        default=None,
        json_schema_extra=unread_if(search=[False]),
        description=(
            "Table of pairs that do not show one photograph although the search finds them. Its first two columns are"
            " image names. They link no images."
        ),
    )


class Predefined(Section):
    """A split that a table gives."""

    table: Text = Field(description="Table with one row for each image: CSV, TSV or Parquet.")
    image: Text = Field(default="image_name", description="The column of image names.")
    column: Text = Field(description="The column that says where an image belongs.")
    test: tuple[Text | Whole, ...] = Field(min_length=1, description="Values of the column that are test.")
    folds: tuple[Annotated[tuple[Text | Whole, ...], Field(min_length=1)], ...] = Field(
        min_length=2, description="For each fold, its values. Images of other values are left out of the study."
    )


class Split(Section):
    """Which images are test, and the fold of each other image."""

    method: Literal["grouped", "predefined", "saved", "sequential"] = Field(
        default="grouped",
        description=(
            "`grouped` keeps linked images together and draws the test set and the folds evenly. A change of one image"
            " moves few others. `predefined` reads them from a table; see split.predefined. `saved` takes the split of"
            " another study; see split.file. `sequential` cuts the tables in their order, whoever the patient"
            " is: the last rows are test, and the folds from 0 to the last one come before them. A sequential split"
            " leaks. It is there to reproduce work with such a split; it needs allow_leaks, and every report says so in"
            " red."
        ),
    )
    test_fraction: Number = Field(
        default=0.2,
        gt=0,
        le=0.5,
        json_schema_extra=unread_if(method=["predefined", "saved"]),
        description="Share of the images in the test set, which is split off once. Methods grouped and sequential.",
    )
    folds: Whole = Field(
        default=5,
        ge=2,
        le=50,
        description="Number of folds of the other images. One is validation while the others train.",
    )
    run_folds: Distinct[Annotated[Whole, Field(ge=0, le=49)]] = Field(
        default=(0,),
        min_length=1,
        description="The folds to run. One is a validation hold-out; all of them are a cross-validation.",
        examples=[[0, 1, 2, 3, 4]],
    )
    group_by: Distinct[Literal["patient", "lesion"]] = Field(
        default=("patient", "lesion"),
        min_length=1,
        description="Images that share one of these stay together. Duplicates and near-duplicates stay together, too.",
    )
    stratify: Distinct[Literal["target", "images_per_patient", "size"]] = Field(
        default=("target", "images_per_patient"),
        min_length=1,
        json_schema_extra=unread_if(method=["predefined", "saved", "sequential"]),
        description=(
            "What the test set and each fold have an equal share of: melanomas and benign images (target); patients"
            " with 1, 2-3, 4-7, ... images (images_per_patient); both classes by original width and height (size)."
        ),
    )
    duplicates: Text | None = Field(
        default=None,
        description="Table of known duplicates, whose first two columns are image names. Each pair stays together.",
    )
    near_duplicates: NearDuplicates = Field(
        default_factory=NearDuplicates,
        description="The search for images that show one photograph, of any patient, source or year.",
    )
    predefined: Predefined | None = Field(
        default=None,
        json_schema_extra=unread_if(method=["grouped", "saved", "sequential"]),
        description="For method predefined, the table and the meaning of its values. `null` is none.",
        examples=[{"table": "folds.csv", "column": "tfrecord", "test": [0], "folds": [[1, 2], [3, 4]]}],
    )
    file: Text | None = Field(
        default=None,
        json_schema_extra=unread_if(method=["grouped", "predefined", "sequential"]),
        description="For method saved, split/split.parquet in the results of another study. `null` is none.",
        examples=["results/isic2020/split/split.parquet"],
    )
    unlisted: Literal["fail", "leave_out"] = Field(
        default="fail",
        json_schema_extra=unread_if(method=["grouped", "predefined", "sequential"]),
        description=(
            "For method saved, images of this study that the file lacks: `fail` stops and counts them. `leave_out`"
            " leaves them out of the study and lists them in split/left_out.csv."
        ),
    )
    seed: Seed = Field(
        default=1,
        json_schema_extra=unread_if(method=["predefined", "saved", "sequential"]),
        description="Another seed gives an independent split.",
    )
    allow_leaks: Flag = Field(
        default=False,
        description="Continue although the leakage check has findings. Then the report says so in red.",
    )
