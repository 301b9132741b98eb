"""Divides groups of units at cuts of strata, so that all parts have about as many images, melanomas and patients."""

import hashlib
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from melanoma.split.strata import Strata

SMALL = 0.7  # share of the images that are in the strata of small units, which even out the others
LAST = 4  # how many of these strata, those of the smallest units, also make up for the rounding of those before them
SLACK = 0.6  # 0 evens out the units as strictly as the images; with more, the strata stay more even


class _Stratum(NamedTuple):
    """The `members` of a stratum in the order of their hashes, and `weight`, their images of class `side`.

    Strata of one `size` class and `side` even out each other's errors. `start`, from 0 to 1, says which image of a unit
    must be before a cut. It is random, so large units are in test as often as others.
    """

    members: NDArray[np.int64]
    weight: NDArray[np.int64]
    side: int
    size: int
    start: float

    def cut(self, goals: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the part of each member: the number of `goals`, in images, that are reached before it."""
        reached = self.weight.cumsum() - (1 - self.start) * self.weight
        cut = np.maximum.accumulate(np.searchsorted(reached, goals))
        return np.searchsorted(cut, np.arange(len(reached)), side="right")


def assign(
    names: Sequence[str], group: NDArray[np.integer], strata: Strata, cuts: Sequence[float], seed: int
) -> NDArray[np.int64]:
    """Divide groups of units at `cuts`, which rise from 0 to 1, into parts 0 to len(cuts); return these parts, (g,).

    `names`, `group`, from 0 to g - 1, and `strata` are those of the units. The units of a stratum are in the order of a
    hash of the seed and their names. Each stratum is cut where its share of images is reached: of images of the rarer
    class, if its units have any, else of the others. A group of several units is where its unit with the most images
    is. Then the strata of small units are cut again, so that they make up for the images and units that a part has too
    much.

    So another image or link moves few units: those next to a cut of a stratum, and small ones. A greedy assignment is
    as even, but each group's place depends on all groups before it.
    """
    hashes = np.array([_fraction(f"{seed} {name}") for name in names])
    counts, share = np.column_stack([strata.rare, strata.common]), np.array(cuts)
    divided = _divide(strata, counts, hashes, seed)
    parts = np.empty(len(hashes), np.int64)
    for stratum in divided:
        parts[stratum.members] = stratum.cut(share * stratum.weight.sum())
    by_group = np.lexsort((hashes, -counts.sum(axis=1), group))
    largest = by_group[np.unique(group[by_group], return_index=True)[1]]
    parts = np.asarray(parts[largest][group], np.int64)
    _even_out(parts, divided, np.bincount(group)[group] == 1, counts, share)
    parts, counts = parts[largest], np.column_stack([np.bincount(group, side) for side in counts.T]).astype(np.int64)
    for side in (0, 1):
        _fill_empty(parts, counts[:, side], counts[:, 1 - side], hashes[largest], len(cuts) + 1)
    return parts


def _divide(strata: Strata, counts: NDArray[np.int64], hashes: NDArray[np.float64], seed: int) -> list[_Stratum]:
    """Return the strata, by size class; in each, those of large units come first."""
    size, rarer, number = strata.stratum.T
    order = np.lexsort((hashes, -number, -rarer, size))
    ends = np.flatnonzero(np.diff(strata.stratum[order], axis=0).any(axis=1)) + 1
    divided = []
    for members in np.split(order, ends):
        kind = strata.stratum[members[0]].tolist()
        side = int(kind[1] == 0)
        start = _fraction(f"{seed} stratum {kind}")
        divided.append(_Stratum(members, counts[members, side], side, kind[0], start))
    return divided


def _even_out(
    parts: NDArray[np.int64],
    divided: list[_Stratum],
    single: NDArray[np.bool_],
    counts: NDArray[np.int64],
    share: NDArray[np.float64],
) -> None:
    """Cut the strata of small units again, so that they make up for the excess of all others in images and units.

    Only units of `single` move, which are groups of their own. Each size class also makes up for those before it.
    """
    amounts = np.column_stack([counts[:, 0], counts[:, 0] > 0, counts[:, 1], np.ones_like(parts)])
    excess = np.zeros((len(share), 4))  # images and units before each cut that are more than its share, by side
    for _, of_size in groupby(divided, lambda stratum: stratum.size):
        small = []
        for _, of_side in groupby(of_size, lambda stratum: stratum.side):
            large, movable = _by_size(list(of_side), single)
            small.append(movable)
            for stratum in large:
                excess += _excess(amounts[stratum.members], parts[stratum.members], share)
        for strata in small:
            _cut_again(parts, strata, single, amounts, excess, share)


def _by_size(strata: list[_Stratum], single: NDArray[np.bool_]) -> tuple[list[_Stratum], list[_Stratum]]:
    """Return the strata of large units, and those of small ones, which have `SMALL` of the images.

    A stratum without any unit of `single` is with those of large units, as none of its units can move.
    """
    images = np.array([stratum.weight.sum() for stratum in strata])
    smaller = images.sum() - images.cumsum()
    large, small = list[_Stratum](), list[_Stratum]()
    for stratum, before in zip(strata, smaller, strict=True):
        is_small = before < SMALL * images.sum() and single[stratum.members].any()
        (small if is_small else large).append(stratum)
    return large, small


def _cut_again(
    parts: NDArray[np.int64],
    strata: list[_Stratum],
    single: NDArray[np.bool_],
    amounts: NDArray[np.int64],
    excess: NDArray[np.float64],
    share: NDArray[np.float64],
) -> None:
    """Cut strata of one size class and side again, and add what is then their excess to `excess`, (cuts, 4).

    Only the last ones make up for rounding: if each did, the move of one unit would move units of all after it. Linked
    units stay where they are, and their own stratum makes up for them, so that a link changes no other stratum.
    """
    for number, stratum in enumerate(strata):
        own = slice(2 * stratum.side, 2 * stratum.side + 2)
        if number == 0 or number >= len(strata) - LAST:
            corrections = iter(_corrections(strata[number:], excess[:, own]))
        alone = single[stratum.members]
        linked, weight = stratum.members[~alone], stratum.weight
        goals = share * weight.sum() + next(corrections) - _before(weight[~alone], parts[linked], len(share))
        moving = stratum._replace(members=stratum.members[alone], weight=weight[alone])
        parts[moving.members] = moving.cut(goals)
        excess += _excess(amounts[stratum.members], parts[stratum.members], share)


def _corrections(strata: list[_Stratum], excess: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return by how many images to move the cuts of each stratum, (strata, cuts).

    Together they make up for all images of `excess`, (cuts, 2), and for most of its units: one large unit less and
    several small ones more are as many images. The solution has the least squares of the units that move in a stratum.
    """
    mean = np.array([stratum.weight.mean() for stratum in strata])  # images of a unit
    basis = np.column_stack([mean, np.ones_like(mean)])
    moments = basis.T @ basis + np.diag([0, SLACK * len(strata)])
    units = -basis @ np.linalg.solve(moments, excess.T)
    return np.asarray(mean[:, None] * units)


def _before(counts: NDArray[np.int64], parts: NDArray[np.int64], cuts: int) -> NDArray[np.int64]:
    """Return the sum of the rows of `counts` before each cut, (cuts, ...)."""
    return np.array([counts[parts <= cut].sum(axis=0) for cut in range(cuts)])


def _excess(amounts: NDArray[np.int64], parts: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much of `amounts`, (units, 4), is before each cut, less the share of them all: (cuts, 4)."""
    return np.asarray(_before(amounts, parts, len(share)) - share[:, None] * amounts.sum(axis=0))


def _fill_empty(
    parts: NDArray[np.int64],
    count: NDArray[np.int64],
    others: NDArray[np.int64],
    hashes: NDArray[np.float64],
    number: int,
) -> None:
    """Give each part without images of a class the smallest group that has some, of the part with most such groups."""
    for empty in range(number):
        groups = np.bincount(parts[count > 0], minlength=number)
        if groups[empty] == 0 and groups.max() > 1:
            members = np.flatnonzero((count > 0) & (parts == groups.argmax()))
            parts[members[np.lexsort((hashes[members], others[members], count[members]))[0]]] = empty


def _fraction(text: str) -> float:
    """Return a hash of a text, from 0 to 1."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest()) / 2**64
