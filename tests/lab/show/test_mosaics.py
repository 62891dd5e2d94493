"""Mosaics, tile by tile."""

import numpy as np
import pytest

from jaxtheory.lab.show.mosaics import mosaic


def test_each_tile_stands_in_its_place_at_its_own_scale(rng):
    tiles = rng.standard_normal((7, 4, 5)) * np.arange(1, 8)[:, None, None]
    tiles[3] = 0
    whole = mosaic(tiles)
    assert whole.shape == (3 * 5 - 1, 3 * 6 - 1)
    for place in range(9):
        row, column = divmod(place, 3)
        part = whole[5 * row : 5 * row + 4, 6 * column : 6 * column + 5]
        if place >= 7:
            assert np.isnan(part).all()
        else:
            largest = np.abs(tiles[place]).max()
            np.testing.assert_allclose(part * largest, tiles[place])
            assert np.abs(part).max() == (place != 3)
    assert np.isnan(whole[4]).all()
    assert np.isnan(whole[:, 5]).all()


def test_no_tiles_are_refused(own_errors):
    with pytest.raises(ValueError, match="one tile at least, got tiles of shape"):
        mosaic(np.zeros((0, 3, 3)))
