"""Compositional functions against NumPy and SciPy, and certified errors against measured ones."""

from itertools import pairwise

import jax
import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator
from scipy.signal import sawtooth

from jaxtheory.approximation import compositional

KEY = jax.random.key(0)


def composed(graph, constituents, x):
    """The values of a graph's last node, one point at a time."""
    values = [x[:, k] for k in range(graph.inputs)]
    for taken, constituent in zip(graph.nodes, constituents):
        values.append(constituent(np.stack([values[one] for one in taken], axis=-1)))
    return values[-1]


def waves(target):
    """The constituents of a target, as functions of NumPy's."""
    parts = zip(target.frequencies, target.amplitudes, target.phases)
    arrays = [[np.asarray(one, float) for one in part] for part in parts]
    form = {"cosine": np.cos, "triangle": lambda t: sawtooth(t + np.pi, 0.5)}[target.wave]
    return [lambda u, part=part: form(u @ part[0].T + part[2]) @ part[1] for part in arrays]


def test_trees_join_neighbors():
    tree = compositional.binary_tree(8)
    assert tree.nodes == ((0, 1), (2, 3), (4, 5), (6, 7), (8, 9), (10, 11), (12, 13))
    assert compositional.from_tree((((0, 1), (2, 3)), ((4, 5), (6, 7)))).nodes == (
        (0, 1), (2, 3), (8, 9), (4, 5), (6, 7), (11, 12), (10, 13),
    )  # fmt: skip
    assert compositional.binary_tree(5).nodes == ((0, 1), (2, 3), (5, 6), (7, 4))


@pytest.mark.parametrize(
    "graph",
    [
        compositional.binary_tree(8),
        compositional.from_tree((0, (1, 2, (3, 4)))),
        compositional.shared(6, ((0, 1, 2), (2, 3), (5, 0))),
    ],
    ids=["binary", "uneven", "overlapping"],
)
@pytest.mark.beyond
def test_targets_interpolants_and_networks_are_wired_as_their_graph(rng, x64, graph):
    x = rng.uniform(-1, 1, (20, graph.inputs))
    target = compositional.init(KEY, graph, smoothness=0.7, scales=3)
    np.testing.assert_allclose(
        compositional.apply(target, x), composed(graph, waves(target), x), rtol=1e-6, atol=1e-9
    )
    interpolant = compositional.interpolate(target, 7)
    line = np.linspace(-1, 1, 8)
    grids = []
    for taken, wave in zip(graph.nodes, waves(target)):
        lines = (line,) * len(taken)
        grids.append(RegularGridInterpolator(lines, wave(np.stack(np.meshgrid(*lines, indexing="ij"), -1))))
    np.testing.assert_allclose(compositional.apply(interpolant, x), composed(graph, grids, x), atol=1e-9)
    assert compositional.size(interpolant) == sum(8 ** len(taken) for taken in graph.nodes)
    sharp = compositional.init(KEY, graph, wave="triangle")
    np.testing.assert_allclose(
        compositional.apply(sharp, x), composed(graph, waves(sharp), x), rtol=1e-6, atol=1e-9
    )
    network = compositional.init_network(KEY, graph, width=5, channels=1)
    layers = [[np.asarray(one) for one in (*k, *b)] for k, b in zip(network.kernels, network.biases)]
    parts = [lambda u, n=n: (np.maximum(u @ n[0] + n[2], 0) @ n[1] + n[3])[:, 0] for n in layers]
    np.testing.assert_allclose(compositional.apply(network, x), composed(graph, parts, x), rtol=1e-9)


@pytest.mark.beyond
def test_networks_start_with_hes_variance_and_kinks_all_over():
    network = compositional.init_network(KEY, compositional.shared(3, ((0,), (1, 2))), width=4000, channels=3)
    first, second = network.kernels[1]
    assert float(first.var()) == pytest.approx(2 / 2, rel=0.05)
    assert float(second.var()) == pytest.approx(1 / 4000, rel=0.05)
    kinks = -np.asarray(network.biases[0][0]) / np.asarray(network.kernels[0][0][0])
    assert 0.3 < np.mean(np.abs(kinks) < 0.5) < 0.6
    assert 0.1 < np.mean(np.abs(kinks) > 1) < 0.6


def test_networks_do_not_see_what_their_nodes_do_not_take(rng):
    graph = compositional.shared(4, ((0, 1), (1, 2)))
    network = compositional.init_network(KEY, graph, width=6)
    x = np.float32(rng.standard_normal((3, 4)))
    moved = x + np.float32([0, 0, 0, 1])
    np.testing.assert_array_equal(compositional.apply(network, x), compositional.apply(network, moved))


@pytest.mark.beyond
@pytest.mark.parametrize(
    "options",
    [{}, {"smoothness": 0.5, "scales": 6}, {"wave": "triangle"}],
    ids=["smooth", "rough", "triangle"],
)
def test_certified_errors_are_never_below_measured_ones(rng, x64, options):
    graph = compositional.binary_tree(4)
    target = compositional.init(KEY, graph, **options)
    x = rng.uniform(-1, 1, (2000, 4))
    exact = np.asarray(compositional.apply(target, x))
    for cells in (3, 12):
        for make, certify in (
            (compositional.interpolate, compositional.certified_error),
            (compositional.tensor, compositional.certified_tensor_error),
        ):
            error = np.abs(np.asarray(compositional.apply(make(target, cells), x)) - exact).max()
            bound = certify(target, cells)
            assert 0 < error <= bound <= 2


def test_orders_of_certified_errors_are_those_of_the_smoothness():
    graph = compositional.binary_tree(8)
    smooth = compositional.init(KEY, graph)
    rough = compositional.init(KEY, graph, smoothness=0.5, scales=24)
    cells = 2 ** np.arange(8, 12)
    orders = [
        -np.polyfit(np.log2(cells), np.log2([compositional.certified_error(one, int(n)) for n in cells]), 1)[
            0
        ]
        for one in (
            smooth,
            compositional.init(KEY, compositional.shared(2, ((0, 1),)), smoothness=0.5, scales=24),
        )
    ]
    assert orders[0] == pytest.approx(2, abs=0.05)
    # Two nodes of exponent one half compose to one quarter.
    assert orders[1] == pytest.approx(0.25, abs=0.05)
    assert compositional.certified_error(rough, 64) <= 2


@pytest.mark.parametrize(("wave", "order"), [("cosine", 1 / 2), ("triangle", 1)])
@pytest.mark.parametrize("certify", [compositional.certified_error, compositional.certified_tensor_error])
def test_the_cells_that_certify_an_error_grow_as_its_power(certify, wave, order):
    target = compositional.init(KEY, compositional.binary_tree(8), wave=wave)
    errors = np.array([1e-3, 1e-4])
    cells = [compositional.cells_needed(target, float(error), certify=certify) for error in errors]
    for error, number in zip(errors, cells):
        assert certify(target, number) <= error < certify(target, number - 1)
    assert np.log10(cells[1] / cells[0]) == pytest.approx(order, abs=0.02)
    assert compositional.cells_needed(target, 2.0, certify=certify) == 1


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_dense_networks_of_equal_size(layers):
    width = compositional.equal_width(8, 5000, layers=layers)

    def count(width):
        shapes = [8, *[width] * layers, 1]
        return sum((rows + 1) * columns for rows, columns in pairwise(shapes))

    assert abs(count(width) - 5000) == min(abs(count(other) - 5000) for other in range(1, 1000))


def test_an_interpolant_of_one_wave_errs_by_what_second_derivatives_certify(x64):
    # A wave along the diagonal, at its crest in the middle of a cell.
    wave = {"frequencies": (np.ones((1, 2)),), "amplitudes": (np.ones(1),), "phases": (np.full(1, -0.1),)}
    target = compositional.Target(compositional.binary_tree(2), **wave)
    found = compositional.apply(compositional.tensor(target, 20), np.array([0.05, 0.05]))
    assert 1 - float(found) == pytest.approx(compositional.certified_tensor_error(target, 20), rel=0.01)


def test_interpolation_is_exact_for_a_constituent_that_is_linear_in_each_argument(rng, x64):
    target = compositional.init(KEY, compositional.shared(2, ((0, 1),)), waves=1)
    interpolant = compositional.interpolate(target, 4)
    line = np.linspace(-1, 1, 5)
    values = tuple(np.multiply.outer(line, line) if one.ndim == 2 else line for one in interpolant.values)
    products = compositional.Interpolant(interpolant.graph, values)
    x = rng.uniform(-1, 1, (30, 2))
    np.testing.assert_allclose(compositional.apply(products, x), x.prod(1), atol=1e-12)
    np.testing.assert_allclose(compositional.apply(products, 2 * np.ones(2)), 1)


def test_waves_of_all_scales_have_the_amplitudes_of_their_smoothness():
    target = compositional.init(KEY, compositional.binary_tree(2), smoothness=0.5, scales=4, waves=3)
    lengths = np.linalg.norm(target.frequencies[0], axis=1)
    np.testing.assert_allclose(lengths, np.pi * 2.0 ** np.repeat(np.arange(4), 3), rtol=1e-5)
    np.testing.assert_allclose(
        target.amplitudes[0] * lengths**0.5, target.amplitudes[0][0] * np.pi**0.5, rtol=1e-5
    )
    assert float(target.amplitudes[0].sum()) == pytest.approx(1)


TARGET = compositional.init(KEY, compositional.binary_tree(8))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: compositional.from_tree(((0, 1), 3)),
            r"tree has the leaves \[0, 1, 3\]: take each of 0 to 2 once",
        ),
        (lambda: compositional.from_tree((0, ())), "tree has an empty part"),
        (lambda: compositional.from_tree(3), "tree is 3: take nested tuples of leaves"),
        (lambda: compositional.from_tree((0, 1.5)), "tree is 1.5: take a whole number"),
        (lambda: compositional.binary_tree(1), "inputs is 1: take a whole number at least 2"),
        (lambda: compositional.shared(3, ()), r"sets are \(\): take at least one"),
        (lambda: compositional.shared(3, ((0, 3),)), "sets is 3: take a whole number from 0 to 2"),
        (
            lambda: compositional.apply(TARGET, np.ones((5, 7))),
            r"x has the shape \(5, 7\), but the graph has 8 leaves: take \(\.\.\., 8\)",
        ),
        (
            lambda: compositional.tensor(TARGET, 9),
            "cells is 9, which makes 100,000,000 values on 8 axes: take at most 7 cells",
        ),
        (lambda: compositional.interpolate(TARGET, 0), "cells is 0"),
        (lambda: compositional.init(KEY, TARGET.graph, smoothness=0), "smoothness is 0"),
        (
            lambda: compositional.init(KEY, TARGET.graph, wave="square"),
            "wave is 'square': take 'cosine' or 'triangle'",
        ),
        (lambda: compositional.cells_needed(TARGET, 0), "error is 0"),
        (lambda: compositional.cells_needed(TARGET, 1e-300), "error is 1e-300: take a larger one"),
        (lambda: compositional.equal_width(8, 0), "parameters is 0"),
        (lambda: compositional.init_network(KEY, TARGET.graph, width=0), "width is 0"),
    ],
)  # fmt: skip
def test_bad_arguments_are_told(own_errors, call, message):
    with pytest.raises((ValueError, TypeError), match=message):
        call()
