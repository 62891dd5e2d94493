"""What atoms of deeper layers stand for in the image, against convolutions by SciPy and against synthesis."""

import numpy as np
import pytest
from scipy.signal import convolve2d

from jaxtheory.sparse import multilayer


def test_an_atom_is_its_filters_convolved(rng):
    first, second = (np.float32(rng.standard_normal(shape)) for shape in ((6, 4, 2, 3), (5, 3, 3, 4)))
    one, two = multilayer.effective_filters([first, second], strides=(2, 1))
    np.testing.assert_array_equal(one, first)
    whole = [np.int32(np.rint(3 * part)) for part in (first, second)]
    found = multilayer.effective_filters(whole, strides=(2, 1))
    expected = multilayer.effective_filters([np.float32(part) for part in whole], strides=(2, 1))
    for part, other in zip(found, expected):
        assert part.dtype == np.float32
        np.testing.assert_array_equal(part, other)
    assert two.shape == (14, 8, 2, 4)
    # A filter of the second layer, its entries two pixels apart, and every one a filter of the first.
    spread = np.zeros((9, 5, 3))
    spread[::2, ::2] = second[..., 1]
    for channel in range(2):
        expected = sum(convolve2d(spread[..., k], first[..., channel, k]) for k in range(3))
        np.testing.assert_allclose(two[..., channel, 1], expected, atol=1e-5)


def test_a_single_code_of_three_layers_stands_for_its_atom(rng):
    shapes, strides = ((4, 1, 2), (3, 2, 3), (2, 3, 2)), (2, 3, 1)
    filters = [np.float32(rng.standard_normal(shape)) for shape in shapes]
    deepest = multilayer.effective_filters(filters, strides=strides)[2]
    assert deepest.shape == (4 + 2 * 2 + 6, 1, 2)
    codes = np.zeros((10, 2), np.float32)
    codes[5, 1] = 1
    image = np.asarray(multilayer.synthesize(filters, codes, strides=strides)[0])[:, 0]
    start = np.flatnonzero(image)[0]
    np.testing.assert_allclose(image[start : start + 14], deepest[:, 0, 1], atol=1e-5)
    assert np.flatnonzero(image)[-1] == start + 13


@pytest.mark.parametrize(
    ("filters", "strides", "message"),
    [
        ([], 1, "filters is empty: take those of one layer at least"),
        ([np.ones((3, 1, 2)), np.ones((3, 3, 2))], 1, "filters of layer 2 has 3 channels: take as many as"),
        ([np.ones((3, 1, 2))], 0, "strides is 0: take a whole number at least 1"),
    ],
)
def test_wrong_arguments_are_refused(filters, strides, message, own_errors):
    with pytest.raises(ValueError, match=message):
        multilayer.effective_filters(filters, strides=strides)
