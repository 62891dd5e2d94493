r"""Minsky and Papert's order of a predicate on a retina, by linear programming.

A figure is a set of points of the retina, a Boolean array. A mask is the predicate that some points are all
in the figure, and a predicate has order k if it is the sign of a linear form in masks of at most k points,
and of no less. `order` finds it, `linear_form` the form of a given order or a certificate that there is none,
and `imbalance` checks such a certificate by itself. The rest are predicates.

Where the predicate is the same on figures that symmetries take to one another, so may be the coefficients
(Minsky and Papert's theorem of group invariance): unknowns are orbits of masks. Reflections and rotations of
the rectangle, translations of the torus, and permutations of all points are held against the whole table of
the predicate; where the retina is too large for this, `boxes` tell within which its points may be permuted.
"""

from jaxtheory.networks.predicates.certificates import Certificate, imbalance
from jaxtheory.networks.predicates.figures import (
    at_least,
    connected,
    euler_number,
    exactly,
    one_in_each_box,
    parity,
)
from jaxtheory.networks.predicates.orders import LinearForm, linear_form, order

__all__ = [
    "Certificate",
    "LinearForm",
    "at_least",
    "connected",
    "euler_number",
    "exactly",
    "imbalance",
    "linear_form",
    "one_in_each_box",
    "order",
    "parity",
]
