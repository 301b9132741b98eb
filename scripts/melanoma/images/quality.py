"""Fast measures of a stored image: sharpness, exposure, dark border and hair."""

from typing import NamedTuple

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray

# Side of the small image on which border and hair are measured.
SMALL = 256
BLACK = 40
# Gray levels of 255. A photograph of skin has a wider range than RANGE, and a pixel lighter than DIM: that is the
# lightest one of an image of 14 bits that is stored in 16. Of 785 real images, the least are 63 and 133.
RANGE, DIM = 8, 63
# At 256 pixels a side a hair is 1 to 4 pixels wide: a closing by 9 fills it and leaves lesions alone.
HAIR_WIDTH, HAIR_DEPTH = 9, 20


class Quality(NamedTuple):
    """Measures of one stored image.

    sharpness: variance of the Laplacian, in squared gray levels; exposure: mean luminance, 0 black to 1 white;
    border_fraction: share of the image that is dark and connected to its edge (frame, vignette); hair: share of the
    image that is dark, thin and not border; featureless: all pixels are nearly black, or have nearly one gray level, so
    that two such images are alike without being of one lesion.
    """

    sharpness: float
    exposure: float
    border_fraction: float
    hair: float
    featureless: bool


UNMEASURED = Quality(float("nan"), float("nan"), float("nan"), float("nan"), False)


def measure(pixels: NDArray[np.uint8]) -> Quality:
    """Measure a stored image, uint8 (S, S, 3) RGB."""
    gray = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(gray, (SMALL, SMALL), interpolation=cv2.INTER_AREA)
    border = _border(small)
    darkest, lightest = cv2.minMaxLoc(small)[:2]
    return Quality(
        # A Laplacian's mean is 0 but for the image's edge, so its variance is its mean square.
        sharpness=cv2.norm(cv2.Laplacian(gray, cv2.CV_16S), cv2.NORM_L2SQR) / gray.size,
        exposure=cv2.mean(small)[0] / 255,
        border_fraction=float(np.count_nonzero(border)) / small.size,
        hair=_hair(small, border),
        featureless=lightest <= DIM or lightest - darkest < RANGE,
    )


def _border(small: MatLike) -> NDArray[np.bool_]:
    """Mask of the dark pixels that are connected to the edge."""
    dark = cv2.copyMakeBorder((small < BLACK).view(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(dark, None, (0, 0), 2)
    return np.equal(dark[1:-1, 1:-1], 2)


def _hair(small: MatLike, border: NDArray[np.bool_]) -> float:
    """Share of pixels that a morphological closing makes much lighter: thin dark lines (DullRazor, Lee et al. 1997)."""
    depth = cv2.morphologyEx(small, cv2.MORPH_BLACKHAT, np.ones((HAIR_WIDTH, HAIR_WIDTH), np.uint8))
    return float(np.count_nonzero((depth > HAIR_DEPTH) > border)) / small.size
