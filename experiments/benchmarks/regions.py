"""Linear regions: all cells of a random ReLU network of four hidden layers in a square, exactly.

The network is 2-64-64-64-64-1, with He's weights and biases of standard deviation 0.3. The peer is the
textbook's way: polygons in a list, each cut by one neuron after the other in plain NumPy. What is compared is
the number of cells, which must be the same.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster, within

WIDTHS = (2, 64, 64, 64, 64, 1)
BIAS = 0.3
CASES = [
    Case("[-1, 1] squared", {"half": 1}, [within(5.0, "steady"), faster(1.0, aim=2.0)], tolerance=0.0),
    Case("[-3, 3] squared", {"half": 3}, tolerance=0.0),
    Case("[-10, 10] squared", {"half": 10}, tolerance=0.0),
]
Layers = list[tuple[np.ndarray, np.ndarray]]


def weights() -> Layers:
    """The kernels and biases."""
    rng = np.random.default_rng(0)
    kernels = [rng.standard_normal(pair) * np.sqrt(2 / pair[0]) for pair in pairwise(WIDTHS)]
    return [(kernel, BIAS * rng.standard_normal(kernel.shape[1])) for kernel in kernels]


def ours(half: int) -> Callable[[], np.ndarray]:
    """The cells of this package, with their corners, interior points and gradients."""
    from jaxtheory.approximation import regions, relu

    network = relu.Network(*zip(*weights()))

    def run() -> np.ndarray:
        return np.array([regions.plane(network, ((-half, half), (-half, half))).cells])

    return run


def cut(polygon: np.ndarray, heights: np.ndarray) -> list[np.ndarray]:
    """The two parts of a convex polygon on which heights at its corners are positive and negative."""
    after, following = np.roll(heights, -1), np.roll(polygon, -1, axis=0)
    crosses = heights * after < 0
    part = heights / np.where(crosses, heights - after, 1)
    crossing = polygon + part[:, None] * (following - polygon)
    both = np.stack([polygon, crossing], 1)
    return [both[np.stack([sign * heights > 0, crosses], 1)] for sign in (1, -1)]


def polygon_by_polygon(half: int) -> Callable[[], np.ndarray]:
    """Polygons in a list, each cut by the neurons that change sign in it."""
    *hidden, _ = weights()

    def run() -> np.ndarray:
        square = half * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
        cells = [(square, np.eye(2), np.zeros(2))]
        for kernel, bias in hidden:
            found = []
            for polygon, slope, offset in cells:
                slope, offset = slope @ kernel, offset @ kernel + bias
                heights = polygon @ slope + offset
                parts = [polygon]
                for neuron in np.flatnonzero((heights.min(0) < 0) & (heights.max(0) > 0)):
                    at = [part @ slope[:, neuron] + offset[neuron] for part in parts]
                    crossed = [one.min() < -1e-13 and one.max() > 1e-13 for one in at]
                    parts = [
                        piece
                        for part, one, is_cut in zip(parts, at, crossed)
                        for piece in (cut(part, one) if is_cut else [part])
                    ]
                for part in parts:
                    on = part.mean(0) @ slope + offset > 0
                    found.append((part, slope * on, offset * on))
            cells = found
        return np.array([len(cells)])

    return run


CONTESTANTS = {
    "jaxtheory": Contestant("ours", ours),
    "polygon by polygon": Contestant("peer", polygon_by_polygon, install="pip install numpy"),
}
