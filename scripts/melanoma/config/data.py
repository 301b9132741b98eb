"""Options of the data: sources of images, downloads, the image store and the split."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from melanoma.config.base import Distinct, Flag, Name, Number, Section, Seed, Text, Whole
from melanoma.config.networks import OFFICIAL_WEIGHTS, WEIGHTS_FOLDER


class Columns(Section):
    """Names of a table's columns."""

    image: Text | None = Field(
        default=None, description="Name of the image, with or without its folder and suffix.", examples=["file"]
    )
    patient: Text | None = Field(default=None, description="Patient. Without it, the lesion stands in, or the image.")
    lesion: Text | None = Field(default=None, description="Lesion.")
    sex: Text | None = Field(default=None, description="Sex: male or female.")
    age: Text | None = Field(default=None, description="Age in years.")
    site: Text | None = Field(default=None, description="Site on the body.")
    diagnosis: Text | Annotated[tuple[Text, ...], Field(min_length=2)] | None = Field(
        default=None,
        description="Diagnosis. A list: one column for each diagnosis, with 1 or X where it is that of the row.",
        examples=["dx", ["MEL", "NV", "other"]],
    )
    target: Text | None = Field(default=None, description="1 for a melanoma, 0 for anything else.")
    width: Text | None = Field(
        default=None, description="Width of the original image in pixels, for a study without images to measure."
    )
    height: Text | None = Field(default=None, description="Height of the original image in pixels.")
    skin_type: Text | None = Field(default=None, description="Skin type or tone, for the evaluation of subgroups.")
    confirmation: Text | None = Field(
        default=None, description="How the diagnosis was confirmed; words that begin with histo are histology."
    )
    license: Text | None = Field(default=None, description="License of the image. The report lists all licenses.")
    attribution: Text | None = Field(default=None, description="Who is to be named for the image, in the report.")


SUBGROUP = "subgroup_"  # of the catalog's names of the columns in `Data.subgroups`
EXTERNAL_ROLES = ("test", "predict")  # of sources that are neither training nor the internal test

SHARED_IDS = ("kaggle", "isic", "ham10000")  # layouts of the ISIC archive, which gives each patient and lesion one id


class Generate(Section):
    """Images that the workflow draws itself, for a demonstration whose best possible AUROC is known."""

    images: Whole = Field(default=1000, ge=20, le=1_000_000, description="Number of images to draw.")
    first_image: Whole = Field(
        default=1, ge=1, le=1_000_000_000, description="Number in the name of the first image. The others follow."
    )
    seed: Seed = Field(default=1, description="Seed. The same seed draws the same files, byte for byte.")
    prevalence: Number = Field(default=0.25, gt=0, lt=1, description="Share of melanomas.")
    pixel_signal: Number = Field(
        default=2.4, ge=0, description="Weight of the visible score in the log-odds of melanoma; 0 is none."
    )
    metadata_signal: Number = Field(
        default=2.4,
        ge=0,
        description="Weight of the score of age, sex and site in the log-odds of melanoma; 0 is none.",
    )
    relative_signal: Number = Field(
        default=0.0,
        ge=0,
        description=(
            "Weight of the contrast within the patient (the ugly-duckling sign) in the log-odds of melanoma; 0 is none."
        ),
    )
    within_patient_correlation: Number = Field(
        default=0.2, ge=0, lt=1, description="Correlation of the visible scores of one patient's images."
    )


class Source(Section):
    """A source of images: a table and a folder of images, or images that the workflow draws."""

    name: Name = Field(description="Name of the source, a column of the catalog.", examples=["isic2020"])
    layout: Literal["kaggle", "isic", "ham10000", "columns", "folders"] = Field(
        default="kaggle",
        description=(
            "Layout of the table; docs/data.md names the columns. `kaggle` is train.csv of SIIM-ISIC 2020. `isic` are"
            " the tables of the ISIC archive, of its challenges, of MILK10k and of BCN20000. `ham10000` is"
            " HAM10000_metadata. `columns` is any table; `columns` gives the names of its columns. `folders` is no"
            " table: `images` has one subfolder for each class."
        ),
    )
    role: Literal["study", "extra_train", "test", "predict"] = Field(
        default="study",
        description=(
            "`study` is split into train and test. `extra_train` is used for training only, never for validation or"
            " test. `test` is an external test set: nothing is trained on it, and training images of its patients,"
            " lesions and photographs are left out. `predict` gets predictions only and needs no labels."
        ),
    )
    table: Text | None = Field(
        default=None,
        description="The table: CSV or TSV, also compressed (.gz), or Parquet (.parquet, .pq).",
        examples=["data/train.csv"],
    )
    header: tuple[Text, ...] | None = Field(
        default=None,
        description="Names of the columns, in order, of a table whose first line is an image. `null`: it has a header.",
        examples=[["image_id", "target"]],
    )
    metadata: Text | None = Field(
        default=None,
        description=(
            "A second table for columns that the first one lacks. It is joined by image, or else by lesion or patient."
            " `null` is none."
        ),
    )
    images: Text | Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        default=None,
        description=(
            "The folder of images, with its subfolders, or a list of folders. The name of each file is the name of its"
            " image. An HDF5 file that has each JPEG as a dataset counts as a folder. `null` is a study of tables"
            " alone, for models that read no pixel."
        ),
        examples=["data/jpeg"],
    )
    columns: Columns | None = Field(
        default=None,
        description=(
            "The table's names of our columns. Layout `columns` needs at least image, and target or diagnosis. Other"
            " layouts have names that this adds to or replaces."
        ),
        examples=[{"image": "file", "patient": "id", "target": "label"}],
    )
    values: (
        dict[Literal["sex", "site", "age", "diagnosis", "target", "skin_type"], dict[Any, Text | Whole | Number | None]]
        | None
    ) = Field(
        default=None,
        description=(
            "Meaning of words of the table that our vocabulary lacks, by our column. `null` makes a word a missing"
            ' value. `"*"` means all other words that the vocabulary lacks, `""` an empty cell.'
        ),
        examples=[{"target": {"benign": 0, "melanoma": 1}, "diagnosis": {"*": "other benign"}}],
    )
    ids: Literal["source", "global"] | None = Field(
        default=None,
        description=(
            "Whose the ids of patients and lesions are. `source`: the source numbers its own, so patient 1 of another"
            " source is another patient. `global`: the same id is the same patient in all sources with `global`. `null`"
            " is global for the layouts of ISIC and source for the others, which stops the run if such a source shares"
            " ids with another one."
        ),
    )
    similar_ids: Literal["fail", "same", "different"] = Field(
        default="fail",
        description=(
            "What ids are that may be two spellings of one, such as P7 and p7, 007 and 7, or A-1 and A_1. `fail` stops"
            " and lists them, `same` makes them one, `different` keeps them apart. 100.0 is 100 always."
        ),
    )
    generate: Generate | None = Field(
        default=None, description="Draw the images instead of reading them. Give either this, or `table` and `images`."
    )

    @property
    def shares_ids(self) -> bool:
        """Tell whether the ids of patients and lesions are those of all sources with global ids."""
        return self.layout in SHARED_IDS if self.ids is None else self.ids == "global"


class Data(Section):
    """The images, and the tables that describe them."""

    sources: tuple[Source, ...] = Field(
        min_length=1, description="The sources of images. All are joined into one catalog."
    )
    subgroups: Distinct[Text] = Field(
        default=(),
        description=(
            "Columns of the tables, by their names there, whose words are subgroups of the evaluation, such as a clinic"
            " or a device. An image of a source without the column is in the group missing."
        ),
        examples=[["clinic", "device"]],
    )
    on_bad_row: Literal["fail", "drop"] = Field(
        default="fail",
        description=(
            "`fail` stops and lists all bad rows. `drop` removes the bad rows and lists them in catalog/issues.csv."
        ),
    )


class Download(Section):
    """A file to download."""

    url: Text = Field(description="Address of the file, http or https.", examples=["https://example.org/train.csv"])
    bytes: Whole | None = Field(default=None, ge=0, le=10**15, description="Size in bytes. `null` is not checked.")
    sha256: Text | None = Field(
        default=None,
        min_length=8,
        max_length=64,
        description="SHA-256, or at least its first 8 digits. `null` is not checked. A number needs quotes.",
        examples=["528c19ca"],
    )
    unzip: Literal["file", "folder"] | None = Field(
        default=None,
        description=(
            "`file` takes the file of the path's name out of a zip. `folder` takes all files, without their folders."
            " `null` is no zip."
        ),
    )


_ISIC = "https://isic-challenge-data.s3.amazonaws.com/2020"
_RESNEST = "https://github.com/zhanghang1989/ResNeSt/releases/download/weights_step1"
_TORCHVISION = "https://download.pytorch.org/models"


# The SHA-256 of the files of weights whose whole SHA-256 is published: resnest50 in models/public/resnest-50-pytorch of
# github.com/openvinotoolkit/open_model_zoo, the others in github.com/pytorch/vision/issues/7744. Of the other files,
# the digits in their name are checked.
_SHA256 = (
    "528c19ca6509420548c8359f63ff37975e7d92f42eaf72a7af152a015c8ef48c",
    "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934",
    "c35c147384e385a5bab5a8eabdabbe5a3df0487ee4a554108626ae474a5bf755",
    "b3899882250c22946d0229d266049fcd133c169233530b36b9ffa7983988362f",
    "23ab8bcd5bdbef61a7a43b91adcad81f622fd7f36fb4935a569828d77888c44e",
    "1a07897c0d357db7981640f6be44a63420f11deb932344a69768b62ebe272946",
    "24a108a596a00ad522bdfb9a2d98a9bd31819dfd7e37dd96bad6bb5bc00d6015",
    "c5b4e57e0da1a10bb4f8a5b410dd3b7b6e7461f9b757209be29409707c3d87dd",
)


def _weights(file: str) -> Download:
    address = _RESNEST if file.startswith("resnest") else _TORCHVISION
    digits = file.removesuffix(".pth").rpartition("-")[2]
    whole = next((digest for digest in _SHA256 if digest.startswith(digits)), digits)
    return Download(url=f"{address}/{file}", sha256=whole)


# The server of ISIC states the MD5 of each table as its ETag. Bytes and SHA-256 are those of the tables with this MD5.
KNOWN_DOWNLOADS = {
    "data/isic2020/train.csv": Download(
        url=f"{_ISIC}/ISIC_2020_Training_GroundTruth.csv",
        bytes=2_056_020,
        sha256="98c68a10eb669215e3458ad193a24a582c974a4401e539dbbf099b318584264b",
    ),
    # The same table with the column lesion_id.
    "data/isic2020/ISIC_2020_Training_GroundTruth_v2.csv": Download(
        url=f"{_ISIC}/ISIC_2020_Training_GroundTruth_v2.csv",
        bytes=2_387_418,
        sha256="a1c7c97c59e5f49232dfe3b6f6817efaaee5dbf9bcb4ce584c1889e641be5c4e",
    ),
    "data/isic2020/ISIC_2020_Training_Duplicates.csv": Download(
        url=f"{_ISIC}/ISIC_2020_Training_Duplicates.csv",
        bytes=11_500,
        sha256="ddfd6c2d42430bd3581f3b2116bdb1433462a7109c715a02bf7f51115fcfabce",
    ),
    "data/isic2020/jpeg/train": Download(
        url=f"{_ISIC}/ISIC_2020_Training_JPEG.zip", bytes=24_707_698_022, unzip="folder"
    ),
} | {f"{WEIGHTS_FOLDER}/{file}": _weights(file) for file in OFFICIAL_WEIGHTS.values()}


def _with_known(downloads: Any) -> Any:
    return KNOWN_DOWNLOADS | downloads if isinstance(downloads, dict) else downloads


Downloads = Annotated[dict[Text, Download], BeforeValidator(_with_known)]


class Images(Section):
    """How each image file becomes one square RGB image of the store."""

    size: Whole = Field(default=512, ge=16, le=4096, description="Side of the stored square in pixels.")
    fit: Literal["center_crop", "resize"] = Field(
        default="center_crop",
        description=(
            "`center_crop` keeps the largest centered square, with its proportions. `resize` keeps the whole image and"
            " changes its proportions."
        ),
    )
    shards: Whole = Field(
        default=8, ge=1, le=4096, description="Number of jobs that prepare the images. Each job writes one file."
    )
    threads: Whole = Field(default=4, ge=1, le=1024, description="Processes of each of these jobs.")
    on_unreadable: Literal["fail", "drop"] = Field(
        default="fail",
        description=(
            "`fail` stops and lists all files that are not complete images. `drop` leaves them out and lists them in"
            " the report."
        ),
    )
    max_pixels: Whole = Field(
        default=50_000_000,
        ge=1_000_000,
        le=1_000_000_000,
        description=(
            "Most pixels of an image. A file whose header states more is unreadable, so a decompression bomb takes no"
            " memory. The largest ISIC image has 24 million."
        ),
    )
    crop_border: Flag = Field(
        default=False,
        description="Cut off black bars and frames before the fit. The dark corners of a round field of view stay.",
    )
    color_constancy: Literal["none", "shades_of_gray"] = Field(
        default="none",
        description=(
            "`shades_of_gray` removes the color of the light (Finlayson and Trezzi 2004, Minkowski norm 6). `none`"
            " keeps the colors."
        ),
    )
