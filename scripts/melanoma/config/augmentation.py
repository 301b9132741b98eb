"""Options of augmentation: random changes of the training images, and views of an image in prediction."""

from typing import Annotated, Literal

from pydantic import Field

from melanoma.config.base import Flag, Number, Probability, Section, Whole, unread_if

Area = Annotated[Number, Field(gt=0, le=1)]
Positive = Annotated[Number, Field(gt=0)]
NotNegative = Annotated[Number, Field(ge=0)]


class Crop(Section):
    """Random resized crop. Area and logarithm of the ratio are uniform over all crops that fit into the image."""

    scale: tuple[Area, Area] = Field(
        default=(1.0, 1.0),
        description="Least and greatest area of the crop, as a share of the image.",
        examples=[[0.8, 1.0]],
    )
    ratio: tuple[Positive, Positive] = Field(
        default=(1.0, 1.0),
        description=(
            "Least and greatest ratio of the crop's width to its height. The crop becomes a square. 1 and 1 keep the"
            " proportions."
        ),
        examples=[[0.75, 1.3333]],
    )


class Affine(Section):
    """Rotation, shear, zoom and shift about the center. The edge is mirrored."""

    probability: Probability = Field(default=0.0, description="Probability that an image is transformed.")
    distribution: Literal["uniform", "normal"] = Field(
        default="uniform",
        description=(
            "`uniform` draws evenly from minus the amount to plus the amount. `normal` takes the amount as the standard"
            " deviation."
        ),
    )
    rotate: Number = Field(default=0.0, ge=0, description="Rotation in degrees.")
    shear: Number = Field(default=0.0, ge=0, description="Shear in degrees.")
    zoom: Number = Field(default=0.0, ge=0, le=0.9, description="Share by which the image grows or shrinks.")
    zoom_per_axis: Flag = Field(default=False, description="Zoom each axis by its own amount.")
    shift: Number = Field(default=0.0, ge=0, le=1, description="Shift as a share of the side.")


class BrightnessContrast(Section):
    """An amount added to the brightness, and a factor of the contrast about middle gray."""

    probability: Probability = Field(default=0.0, description="Probability that an image is changed.")
    brightness: Probability = Field(default=0.0, description="Greatest change of the brightness, as a share of white.")
    contrast: Probability = Field(default=0.0, description="Greatest change of the contrast, as a share.")


class HueSaturationValue(Section):
    """A rotation of the hue and factors of saturation and value, as linear maps of RGB."""

    probability: Probability = Field(default=0.0, description="Probability that an image is changed.")
    hue: Number = Field(default=0.0, ge=0, le=180, description="Greatest rotation of the hue in degrees.")
    saturation: Probability = Field(default=0.0, description="Greatest change of the saturation, as a share.")
    value: Probability = Field(default=0.0, description="Greatest change of the value, as a share.")


class PCA(Section):
    """PCA color noise of Krizhevsky et al. (2012), with the eigenvectors of ImageNet."""

    probability: Probability = Field(default=0.0, description="Probability that an image is changed.")
    sigma: Number = Field(default=0.1, ge=0, description="Standard deviation of the three weights.")


class Noise(Section):
    """Gaussian noise on each pixel and channel."""

    probability: Probability = Field(default=0.0, description="Probability that an image gets noise.")
    variance: tuple[NotNegative, NotNegative] = Field(
        default=(5.0, 15.0), description="Least and greatest variance, in squared gray levels."
    )


class Hair(Section):
    """Dark curved lines like hairs."""

    probability: Probability = Field(default=0.0, description="Probability that an image gets hairs.")
    max_hairs: Whole = Field(default=10, ge=1, le=1000, description="Greatest number of hairs.")


class Blur(Section):
    """Gaussian blur."""

    probability: Probability = Field(default=0.0, description="Probability that an image is blurred.")
    sigma: tuple[Positive, Positive] = Field(
        default=(0.5, 1.5), description="Least and greatest standard deviation, in pixels of the network's input."
    )


class Cutout(Section):
    """Squares of the mean color (DeVries and Taylor 2017)."""

    probability: Probability = Field(default=0.0, description="Probability that an image gets squares.")
    count: Whole = Field(default=1, ge=1, le=1000, description="Number of squares.")
    size: Number = Field(default=0.375, gt=0, le=1, description="Side of a square, as a share of the image's side.")


class Blank(Section):
    """White images, without noise, as too high limits of the brightness make them. To reproduce such work alone."""

    probability: Probability = Field(default=0.0, description="Probability that an image becomes white.")


class Augmentation(Section):
    """Random changes of the training images, drawn anew in every epoch. The defaults change nothing."""

    flip_horizontal: Probability = Field(default=0.0, description="Probability of a left-right flip.")
    flip_vertical: Probability = Field(default=0.0, description="Probability of an up-down flip.")
    crop: Crop = Field(default_factory=Crop, description=Crop.__doc__)
    affine: Affine = Field(default_factory=Affine, description=Affine.__doc__)
    brightness_contrast: BrightnessContrast = Field(
        default_factory=BrightnessContrast, description=BrightnessContrast.__doc__
    )
    hue_saturation_value: HueSaturationValue = Field(
        default_factory=HueSaturationValue, description=HueSaturationValue.__doc__
    )
    pca: PCA = Field(default_factory=PCA, description=PCA.__doc__)
    noise: Noise = Field(default_factory=Noise, description=Noise.__doc__)
    hair: Hair = Field(default_factory=Hair, description=Hair.__doc__)
    blur: Blur = Field(default_factory=Blur, description=Blur.__doc__)
    cutout: Cutout = Field(default_factory=Cutout, description=Cutout.__doc__)
    blank: Blank = Field(default_factory=Blank, description=Blank.__doc__)


class TTA(Section):
    """Test-time augmentation: views of an image whose predictions are averaged."""

    name: Literal["none", "random", "flips", "dihedral", "crops"] = Field(
        default="none",
        description=(
            "The views. `random` draws n augmentations of the recipe. `flips` are the 4 flips by both axes. `dihedral`"
            " are the 8 flips and quarter turns. `crops` are the whole image, its center and its four corners."
        ),
    )
    n: Whole = Field(
        default=15,
        ge=1,
        le=1000,
        json_schema_extra=unread_if(name=["none", "flips", "dihedral", "crops"]),
        description="For random, the number of views.",
    )
    scale: Area = Field(
        default=0.8,
        json_schema_extra=unread_if(name=["none", "random", "flips", "dihedral"]),
        description="For crops, the side of a crop as a share of the image's side.",
    )
    frame: Literal["scaled", "full_size", "center_crop"] = Field(
        default="scaled",
        description=(
            "What the views show, and what validation shows. `scaled` is the stored image, resized to input_size."
            " `full_size` is the stored image at its own size, for networks that take any size. `center_crop` is the"
            " central square of input_size pixels, not resized."
        ),
    )
    mean_of: Literal["logit", "probability"] = Field(
        default="logit", json_schema_extra=unread_if(name=["none"]), description="What is averaged over the views."
    )
