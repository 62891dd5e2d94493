"""Cells in a plane against arrangements of lines, fine grids, areas and Euler's relation."""

import numpy as np
import pytest

from jaxtheory.approximation import regions, relu
from tests.approximation.regions.made_networks import he_network, heights

WINDOW = ((-1, 1), (-1, 1))


@pytest.fixture(scope="module")
def network():
    return he_network(np.random.default_rng(0), 2, 16, 16, 16, 1)


@pytest.fixture(scope="module")
def found(network):
    return regions.plane(network, WINDOW)


def area(polygon):
    x, y = polygon.T
    return (x * np.roll(y, -1) - np.roll(x, -1) * y).sum() / 2


def test_one_hidden_layer_is_an_arrangement_of_lines(rng):
    network = he_network(rng, 2, 25, 1)
    (kernel,), (bias,) = network.kernels[:1], network.biases[:1]
    corners = np.array([[-1, -1], [-1, 1], [1, -1], [1, 1]]) @ kernel + bias
    lines = np.flatnonzero((corners.min(0) < 0) & (corners.max(0) > 0))
    # Each line, and each crossing of two lines within the window, adds a region.
    expected = 1 + len(lines)
    for k, i in enumerate(lines):
        for j in lines[k + 1 :]:
            crossing = np.linalg.solve(kernel[:, [i, j]].T, -bias[[i, j]])
            expected += int((np.abs(crossing) < 1).all())
    found = regions.plane(network, WINDOW)
    assert expected > 100
    assert found.cells == found.pieces == expected
    assert expected <= regions.upper_bound((2, 25))


def test_every_cell_has_a_witness_and_signs_of_its_own(network, found):
    signs, _ = heights(network, found.witnesses)
    assert np.abs(signs).min() > 1e-12
    assert len(np.unique(signs > 0, axis=0)) == found.cells
    assert found.unresolved == 0


def test_a_fine_grid_finds_no_more(network, found):
    x = np.linspace(-1, 1, 301)
    grid = np.stack(np.meshgrid(x, x), -1).reshape(-1, 2)
    signs, _ = heights(network, grid)
    seen = np.unique(signs > 0, axis=0)
    assert 0.5 * found.cells < len(seen) <= found.cells
    signs, _ = heights(network, found.witnesses)
    both = np.unique(np.concatenate([seen, signs > 0]), axis=0)
    assert len(both) == found.cells


def test_cells_are_convex_polygons_that_fill_the_window(network, found):
    polygons = regions.polygons(found)
    assert len(polygons) == found.cells
    assert sum(map(area, polygons)) == pytest.approx(4, rel=1e-12)
    assert min(map(area, polygons)) > 0
    for polygon, witness in zip(polygons, found.witnesses):
        # A little inside of its corners all signs are those of its witness.
        inner = witness + 0.99 * (polygon - witness)
        signs, _ = heights(network, np.concatenate([witness[None], inner]))
        assert (np.abs(signs[0]) > 0).all()
        assert ((signs > 0) == (signs[:1] > 0)).all()


def test_eulers_relation_holds(found):
    corners = np.unique(np.concatenate(regions.polygons(found)).round(11), axis=0)
    edges = np.unique(np.sort(found.edges, axis=1), axis=0)
    assert len(corners) == len(found.vertices)
    assert len(edges) == len(found.edges)
    assert len(corners) - len(edges) + found.cells == 1
    # Every cell is bounded by one closed polygon: as many edges as corners.
    counts = np.bincount(found.sides[found.sides >= 0], minlength=found.cells)
    assert counts.tolist() == [len(polygon) for polygon in regions.polygons(found)]


def test_gradients_are_those_of_the_network(network, found):
    step = 1e-9
    for k, direction in enumerate(np.eye(2)):
        _, ahead = heights(network, found.witnesses + step * direction)
        _, behind = heights(network, found.witnesses - step * direction)
        slope = (ahead - behind) / (2 * step)
        # The smallest cells are smaller than the step.
        assert np.median(np.abs(slope - found.gradients[:, k])) < 1e-5
        assert np.mean(np.abs(slope - found.gradients[:, k]) < 1e-5) > 0.95


def test_a_line_meets_the_cells_that_a_segment_finds(network):
    line = relu.compose(network, relu.affine(np.array([[1.0, 0.3]]), [0.0, 0.1]))
    cells = regions.segment(network, [-0.5, -0.05], [0.5, 0.25]).cells
    assert regions.segment(line, [-0.5], [0.5]).cells == cells
    thin = relu.compose(network, relu.affine(np.array([[1.0, 0.3], [-0.3e-9, 1e-9]]), [0.0, 0.1]))
    assert regions.plane(thin, ((-0.5, 0.5), (-1, 1))).cells == pytest.approx(cells, abs=2)


def test_pieces_are_maximal():
    quadrants = regions.plane(relu.identity(2, 3), WINDOW)
    assert (quadrants.cells, quadrants.pieces) == (4, 1)
    assert quadrants.piece.tolist() == [0, 0, 0, 0]
    bent = relu.compose(relu.affine([[1.0], [0.0]]), relu.parallel(relu.square(3), relu.square(2)))
    stripes = regions.plane(bent, ((0, 1), (0, 1)))
    assert (stripes.cells, stripes.pieces) == (32, 8)
    # Neurons that are zero on the same lines cut once.
    twice = relu.add(relu.product(3), relu.product(3))
    assert regions.plane(twice, WINDOW).cells == regions.plane(relu.product(3), WINDOW).cells
    flat = regions.plane(relu.affine(np.ones((2, 1))), WINDOW)
    assert (flat.cells, flat.pieces) == (1, 1)


@pytest.mark.beyond
def test_the_large_network_is_whole():
    network = he_network(np.random.default_rng(1), 2, 64, 64, 64, 64, 1)
    found = regions.plane(network, WINDOW)
    assert 15_000 < found.cells < 40_000
    signs, _ = heights(network, found.witnesses)
    assert np.abs(signs).min() > 0
    assert len(np.unique(signs > 0, axis=0)) == found.cells
    assert len(found.vertices) - len(found.edges) + found.cells == 1
    polygons = regions.polygons(found)
    assert sum(map(area, polygons)) == pytest.approx(4, rel=1e-12)
    assert found.unresolved == 0


@pytest.mark.usefixtures("own_errors")
def test_what_is_refused():
    with pytest.raises(ValueError, match="network has 1 inputs: take 2, as of a plane in its space"):
        regions.plane(relu.square(2), WINDOW)
    with pytest.raises(ValueError, match=r"window has the shape \(2,\): take \(2, 2\)"):
        regions.plane(relu.product(2), (0, 1))
    with pytest.raises(ValueError, match=r"window is \[\[0.0, 0.0\], \[0.0, 1.0\]\]: take \(\(low, high\)"):
        regions.plane(relu.product(2), ((0, 0), (0, 1)))
