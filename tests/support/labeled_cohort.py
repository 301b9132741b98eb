"""Small labeled cohorts with scores, many of them ties, and an AUROC counted pair by pair."""

import numpy as np
from hypothesis import strategies as st

Labeled = tuple[np.ndarray, np.ndarray, np.ndarray]


@st.composite
def labeled(draw: st.DrawFn) -> Labeled:
    """Draw labels of both classes, scores with many ties, and weights that leave both classes."""
    n = draw(st.integers(2, 40))
    target = np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)))
    target[:2] = 0, 1
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    score = np.array(draw(st.lists(st.integers(0, levels), min_size=n, max_size=n))) / levels
    weight = np.array(draw(st.lists(st.integers(0, 4), min_size=n, max_size=n)))
    weight[:2] += 1
    order = np.array(draw(st.permutations(range(n))))
    return target[order], score[order], weight[order]


def pairs_auroc(target: np.ndarray, score: np.ndarray) -> float:
    melanoma, benign = score[target == 1][:, np.newaxis], score[target == 0]
    return float(((melanoma > benign) + (melanoma == benign) / 2).mean())


def rounded_scores() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return labels and two scores with many ties: the data of the published reference values."""
    generator = np.random.default_rng(20)
    target = (generator.random(600) < 0.2).astype(int)
    shared = generator.normal(size=600)
    first = np.round(1.2 * target + shared + generator.normal(size=600), 1)
    return target, first, np.round(0.8 * target + shared + generator.normal(size=600), 1)
