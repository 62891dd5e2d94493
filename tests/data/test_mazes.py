"""Mazes against SciPy's and scikit-image's topology, and their windows one by one."""

import numpy as np
import pytest
import scipy.ndimage
from skimage.measure import euler_number

from jaxtheory.data import mazes


@pytest.mark.parametrize("cells", [6, 9, 16])
def test_pairs_differ_in_connectedness_alone(cells, rng):
    pairs = mazes.draw(cells, 12, rng)
    side = 2 * cells - 1
    assert pairs.connected.shape == pairs.disconnected.shape == (12, side, side)
    assert pairs.connected.dtype == np.float32
    for one, other, cycle, part in zip(pairs.connected, pairs.disconnected, pairs.cycles, pairs.parts):
        assert one.sum() == other.sum() == 2 * cells**2 - 1
        assert euler_number(one > 0, 1) == euler_number(other > 0, 1) == 1
        assert np.sum(one != other) == 2
        assert scipy.ndimage.label(one)[1] == 1
        labels, number = scipy.ndimage.label(other)
        assert number == 2
        assert part == min(np.sum(labels[::2, ::2] == k) for k in (1, 2)) > mazes.HELD
        # What is left when ends are taken off again and again is the cycle.
        core = other > 0
        for _ in range(side**2):
            neighbors = scipy.ndimage.convolve(
                core.astype(int), [[0, 1, 0], [1, 0, 1], [0, 1, 0]], mode="constant"
            )
            core &= neighbors > 1
        assert cycle == np.sum(core[::2, ::2]) > mazes.HELD


@pytest.mark.parametrize("cells", [5, 7, 12])
def test_both_mazes_of_a_pair_show_the_same_windows(cells, rng):
    pairs = mazes.draw(cells, 8, rng)
    shown = []
    for images in (pairs.connected, pairs.disconnected):
        windows = np.lib.stride_tricks.sliding_window_view(images, (mazes.WINDOW,) * 2, (1, 2))
        shown.append([sorted(map(bytes, np.uint8(one.reshape(-1, mazes.WINDOW**2)))) for one in windows])
    assert shown[0] == shown[1]


def test_a_seed_gives_the_same_mazes():
    first, second = (mazes.draw(6, 3, np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(first.connected, second.connected)
    assert len({one.tobytes() for one in first.connected}) == 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((4, 3, None), ValueError, "^cells is 4: take a whole number at least 5$"),
        ((6.0, 3, None), TypeError, r"^cells is 6\.0: take a whole number at least 5$"),
        ((6, 0, None), ValueError, "^pairs is 0: take a whole number at least 1$"),
        ((6, 1, 7), TypeError, r"^rng is a int: take a generator, as np\.random\.default_rng\(0\)$"),
    ],
)
def test_errors(arguments, error, message, own_errors):
    cells, pairs, rng = arguments
    with pytest.raises(error, match=message):
        mazes.draw(cells, pairs, np.random.default_rng(0) if rng is None else rng)
