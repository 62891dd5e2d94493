"""Tangent vectors against SciPy's filters and transforms, distances against dense least squares."""

import numpy as np
import pytest
from scipy import ndimage

from jaxtheory.statistics import tangent_distance

SHAPE = (10, 8)


def blobs(rng, n: int):
    """Smooth spots that end before the border."""
    rows, columns = np.indices(SHAPE)
    spots = [
        height * np.exp(-0.5 * (((rows - 4.5 - y) / 1.3) ** 2 + ((columns - 3.5 - x) / 1.1) ** 2))
        for height, x, y in zip(rng.uniform(0.5, 1, 3 * n), *rng.uniform(-1.2, 1.2, (2, 3 * n)))
    ]
    return np.reshape(spots, (n, 3, *SHAPE)).sum(1)


def test_derivatives_are_those_of_scipy(rng, x64):
    image = rng.standard_normal(SHAPE)
    across, down = tangent_distance.tangent_vectors(image, smoothing=0.9)[:2]
    options = {"sigma": 0.9, "mode": "constant"}
    np.testing.assert_allclose(across, ndimage.gaussian_filter(image, order=(0, 1), **options), atol=1e-12)
    np.testing.assert_allclose(down, ndimage.gaussian_filter(image, order=(1, 0), **options), atol=1e-12)


MATRICES = {
    "scaling": [[1, 0], [0, 1]],
    "rotation": [[0, -1], [1, 0]],
    "along the axes": [[-1, 0], [0, 1]],
    "along the diagonals": [[0, 1], [1, 0]],
}
"""By how much (y, x) moves with (y, x), for the deformations after the two translations."""


def test_tangents_are_the_differences_of_deformed_images(rng, x64):
    # Fine pixels, so that SciPy's splines and our filter agree on derivatives.
    rows, columns = np.indices((40, 40)) - 19.5
    image = sum(
        np.exp(-0.5 * (((rows - y) / 6) ** 2 + ((columns - x) / 5) ** 2))
        for x, y in rng.uniform(-4, 4, (2, 2))
    )
    found = np.asarray(tangent_distance.tangent_vectors(image, smoothing=0.9))
    smooth, step = ndimage.gaussian_filter(image, 0.9, mode="constant"), 1e-3

    def differences(matrix, offset):
        """The central difference of an image that is read at y + step (M (y - middle) + offset)."""
        sides = []
        for side in (step, -step):
            linear = np.eye(2) + side * np.asarray(matrix)
            shift = (np.eye(2) - linear) @ [19.5, 19.5] + side * np.asarray(offset)
            sides.append(ndimage.affine_transform(smooth, linear, shift, order=5, mode="nearest"))
        return (sides[0] - sides[1]) / (2 * step)

    still = np.zeros((2, 2))
    expected = [differences(still, (0, 1)), differences(still, (1, 0))]
    expected += [differences(matrix, (0, 0)) / 20 for matrix in MATRICES.values()]
    inside = np.s_[4:-4, 4:-4]  # SciPy's spline knows nothing of the zeros beyond the border
    for one, other in zip(found[:, *inside], (one[inside] for one in expected)):
        assert np.linalg.norm(one - other) < 3e-3 * np.linalg.norm(other)
    np.testing.assert_allclose(found[6], np.hypot(found[0], found[1]) ** 2, atol=1e-12)


@pytest.mark.parametrize("spring", [0.01, pytest.param(0.0, marks=pytest.mark.beyond)])
def test_distances_are_those_of_dense_least_squares(rng, x64, spring):
    images, queries = blobs(rng, 4), blobs(rng, 3)
    planes = tangent_distance.planes(images, spring=spring)
    found = tangent_distance.distances(planes, queries)

    def plane(image):
        rows = np.asarray(tangent_distance.tangent_vectors(image)).reshape(7, -1)
        rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return ndimage.gaussian_filter(image, 0.9, mode="constant").ravel(), rows

    for query, row in zip(queries, found):
        for image, distance in zip(images, row):
            (x, one), (y, other) = plane(query), plane(image)
            system = np.vstack([np.vstack([one, -other]).T, np.sqrt(spring) * np.eye(14)])
            target = np.concatenate([y - x, np.zeros(14)])
            least = np.linalg.lstsq(system, target)[0]
            expected = np.sum((system @ least - target) ** 2)
            np.testing.assert_allclose(distance, expected, rtol=1e-8, atol=1e-10 if spring else 1e-9)


@pytest.mark.beyond
def test_a_small_move_is_no_distance_and_both_sides_count_alike(rng):
    images = np.float32(blobs(rng, 2))
    moved = np.float32(ndimage.shift(images[0], (0.2, -0.3), order=3))
    euclidean = np.sum((images[0] - moved) ** 2)
    distances = tangent_distance.distances(tangent_distance.planes(np.stack([images[0], moved])), moved)
    assert distances[0] < 0.05 * euclidean
    assert distances[1] < 1e-6
    back = tangent_distance.distances(tangent_distance.planes(np.stack([moved, images[1]])), images[0])
    np.testing.assert_allclose(back[0], distances[0], rtol=1e-2)


def test_blank_images_have_a_plane_of_one_point():
    planes = tangent_distance.planes(np.zeros((2, *SHAPE), np.float32))
    np.testing.assert_array_equal(planes.directions, 0)
    np.testing.assert_array_equal(tangent_distance.distances(planes, np.zeros(SHAPE, np.float32)), 0)


@pytest.mark.beyond
def test_search_finds_the_nearest_of_the_candidates(rng, x64):
    images, queries = blobs(rng, 30), blobs(rng, 5)
    planes = tangent_distance.planes(images)
    exact = np.asarray(tangent_distance.distances(planes, queries))
    everywhere = tangent_distance.search(planes, queries, neighbors=3)
    np.testing.assert_array_equal(everywhere.indices, np.argsort(exact)[:, :3])
    np.testing.assert_allclose(everywhere.distances, np.sort(exact)[:, :3], rtol=1e-9)
    smooth = np.stack([ndimage.gaussian_filter(one, 0.9, mode="constant") for one in (*images, *queries)])
    apart = np.sum((smooth[30:, None] - smooth[:30]) ** 2, axis=(2, 3))
    near = np.argsort(apart)[:, :6]
    few = tangent_distance.search(planes, queries, neighbors=3, candidates=6)
    chosen = np.take_along_axis(exact, near, 1)
    expected = np.take_along_axis(near, np.argsort(chosen)[:, :3], 1)
    np.testing.assert_array_equal(few.indices, expected)
    labels = np.arange(30) % 2
    votes = np.where(labels[np.asarray(few.indices)].sum(1) >= 2, 1, 0)
    found = tangent_distance.predict(planes, labels, queries, classes=2, neighbors=3, candidates=6)
    np.testing.assert_array_equal(found, votes)
