"""Certificates that a predicate has no linear form of an order, and their check apart from any solver."""

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from jaxtyping import Bool, Int

from jaxtheory.core import checks
from jaxtheory.networks.predicates import tables
from jaxtheory.networks.predicates.programs import binomials, chosen


@dataclass(frozen=True, eq=False)
class Certificate:
    """Weights of figures with which no mask tells those where the predicate holds from the others.

    Each figure stands for all that symmetries make of it, in equal parts. Any linear form in the masks has
    the same mean over the figures where the predicate holds as over those where it does not: it cannot be
    positive on the former and negative on the latter.
    """

    figures: Bool[np.ndarray, "n ..."]
    """The figures, one of each orbit."""
    weights: tuple[Fraction, ...]
    """Their weights, above zero and of sum 1."""
    group: Int[np.ndarray, "permutations points"] | None
    """The permutations of points that make an orbit, if boxes do not."""
    boxes: Int[np.ndarray, "..."] | None
    """The number of each point's box, where any permutation within boxes makes an orbit."""


def imbalance(
    predicate: Callable, certificate: Certificate, *, order: int, batched: bool = False
) -> Fraction:
    """Return the largest difference that a mask makes between figures with a predicate and figures without.

    The predicate is evaluated on all figures of the certificate, and all masks are gone through in rational
    numbers: where the difference is zero, the predicate's order is above the given one.

    Args:
        predicate: The predicate, a function of a Boolean array.
        certificate: The certificate. Where it has boxes, the predicate is evaluated on one figure of each
            orbit.
        order: The largest number of points of a mask, at least 0.
        batched: Whether the predicate takes figures with a leading axis.

    Returns:
        The largest size, over all masks, of the weight of the figures with the predicate that contain the
        mask, minus that of those without.

    Raises:
        TypeError: If the order is not a whole number.
        ValueError: If the order is below 0, or the predicate returns no truth values.

    Example:
        >>> from jaxtheory.networks import predicates
        >>> form = predicates.linear_form(predicates.parity, (1, 3), order=2)
        >>> predicates.imbalance(predicates.parity, form.certificate, order=2)
        Fraction(0, 1)
    """
    order = checks.count("order", order, least=0)
    figures = certificate.figures
    common = math.lcm(*(weight.denominator for weight in certificate.weights))
    weights = np.array([int(weight * common) for weight in certificate.weights], object)
    flat = figures.reshape(len(figures), -1)
    if certificate.boxes is not None:
        boxes = certificate.boxes.ravel()
        counts = np.stack([flat[:, boxes == box].sum(1) for box in range(boxes.max() + 1)], axis=1)
        places = np.bincount(boxes)
        taken = chosen(places.tolist(), order)
        # A mask lies within this share of the arrangements of a figure, times the number of masks like it.
        within = binomials(counts, taken).astype(object)
        within *= np.where(tables.truths(predicate, figures, batched=batched), 1, -1)[:, None]
        sums = [
            Fraction(int(sum(weights * column)), int(total))
            for column, total in zip(within.T, binomials(places[None], taken)[0])
        ]
        return max(map(abs, sums)) / common
    images = np.concatenate([flat[:, one] for one in certificate.group])
    truths = tables.truths(predicate, images.reshape(-1, *figures.shape[1:]), batched=batched)
    signs = np.where(truths, 1, -1).reshape(len(certificate.group), -1)
    images = images.reshape(len(certificate.group), len(figures), -1)
    largest = 0
    for size in range(order + 1):
        for mask in itertools.combinations(range(flat.shape[1]), size):
            inside = images[:, :, list(mask)].all(-1)
            largest = max(largest, abs(int(weights @ (signs * inside).sum(0).astype(object))))
    return Fraction(largest, common * len(certificate.group))
