"""Small pictures side by side: the atoms of a dictionary, the filters of a layer."""

import math

import numpy as np
from jaxtyping import Float


def mosaic(tiles: Float[np.ndarray, "n height width"]) -> Float[np.ndarray, "H W"]:
    """Tiles in about a square, row by row, each scaled to its largest size; NaN, which is not drawn, between.

    Args:
        tiles: Shape `(n, height, width)`, at least one.

    Returns:
        The mosaic, from -1 to 1: show it with `vmin=-1, vmax=1`.

    Raises:
        ValueError: If there are no tiles.

    Example:
        >>> mosaic(np.array([[[2.0]], [[-3.0]], [[0.0]]]))
        array([[ 1., nan, -1.],
               [nan, nan, nan],
               [ 0., nan, nan]])
    """
    if 0 in tiles.shape:
        raise ValueError(f"a mosaic is of one tile at least, got tiles of shape {tiles.shape}")
    n, height, width = tiles.shape
    columns = math.ceil(math.sqrt(n))
    rows = -(-n // columns)
    largest = np.abs(tiles).max((1, 2), keepdims=True)
    sheet = np.full((rows * columns, height + 1, width + 1), np.nan)
    sheet[:n, :height, :width] = tiles / np.where(largest > 0, largest, 1)
    whole = sheet.reshape(rows, columns, height + 1, width + 1).swapaxes(1, 2)
    return whole.reshape(rows * (height + 1), -1)[:-1, :-1]
