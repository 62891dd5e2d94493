"""Bounds against sums by hand, each other, and networks that reach or obey them."""

import pytest

from jaxtheory.approximation import regions, relu


def test_bounds_are_the_sums_of_the_theorems():
    # 2 and 4 hyperplanes cut a plane into 1 + 2 + 1 and 1 + 4 + 6 parts.
    assert regions.upper_bound((2, 2, 4)) == 4 * 11
    # The image of one neuron is a line: 1 + 4 parts.
    assert regions.upper_bound((2, 1, 4)) == 2 * 5
    assert regions.lower_bound((2, 6, 4)) == 3**2 * 11
    assert regions.lower_bound((3, 5)) == regions.upper_bound((3, 5)) == 1 + 5 + 10 + 10


@pytest.mark.parametrize("widths", [(1, 2, 2, 2), (2, 4, 5), (3, 3, 7, 9), (2, 8)])
def test_the_lower_bound_is_below_the_upper_one(widths):
    assert regions.lower_bound(widths) <= regions.upper_bound(widths)


def test_the_sawtooth_lies_between_them():
    widths = (1, 2, 2, 2, 2)
    pieces = regions.segment(relu.sawtooth(4), [0], [1]).pieces
    assert pieces == 16 <= regions.lower_bound(widths) == 8 * 3 <= regions.upper_bound(widths) == 81


@pytest.mark.usefixtures("own_errors")
def test_what_is_refused():
    with pytest.raises(ValueError, match=r"widths are \(3, 2\): take hidden layers at least as wide"):
        regions.lower_bound((3, 2))
    with pytest.raises(ValueError, match=r"widths are \(3,\): take the input's, and one or more hidden"):
        regions.upper_bound((3,))
    with pytest.raises(ValueError, match="widths is 0: take a whole number at least 1"):
        regions.upper_bound((2, 0))
