"""Densities against Gauss quadrature, dense spectra and matfree; stored, resumed and over devices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from matfree import decomp
from scipy import stats

from jaxtheory.core.records import record
from jaxtheory.lab import Lab
from jaxtheory.lab.record import laboratory
from jaxtheory.landscape import curvature, spectrum
from tests.landscape.spectrum import operators

KEY = jax.random.key(0)


def distance(found, eigenvalues):
    """The Wasserstein distance of the quadrature of all probes from the eigenvalues."""
    return stats.wasserstein_distance(np.ravel(found.nodes), eigenvalues, np.ravel(found.weights), None)


def test_the_quadrature_is_gauss_quadrature_and_matfrees(x64):
    dense, operator = operators.matrix(operators.with_outliers())
    state = spectrum.density_init(operator, KEY, probes=3, steps=6)
    starts = np.asarray(state.current)
    np.testing.assert_allclose(np.abs(starts), 60**-0.5, rtol=1e-12)
    found = spectrum.density_result(spectrum.density_step(operator, state, steps=6))
    scaled = dense / 30
    for start, nodes, weights in zip(starts, np.asarray(found.nodes), np.asarray(found.weights)):
        # Gauss quadrature with 6 nodes is exact for polynomials of degree 11.
        moments = [start @ np.linalg.matrix_power(scaled, power) @ start for power in range(12)]
        np.testing.assert_allclose(
            [weights @ (nodes / 30) ** power for power in range(12)], moments, atol=1e-12
        )
        theirs = decomp.tridiag_sym(6)(lambda v: dense @ v, start).J_small
        np.testing.assert_allclose(nodes, np.linalg.eigvalsh(theirs), atol=1e-10)


@pytest.mark.beyond
def test_as_many_steps_as_dimensions_give_all_eigenvalues(x64):
    dense, operator = operators.network()
    values = np.linalg.eigvalsh(dense)
    found = spectrum.density(operator, KEY, probes=1, steps=operator.dimension)
    np.testing.assert_allclose(found.nodes[0], values, atol=1e-8 * values[-1])
    assert found.dimension == 43
    assert np.isnan(found.standard_error).all()


def test_few_steps_come_close_to_the_dense_spectrum(x64):
    eigenvalues = operators.with_outliers(200)
    _, operator = operators.matrix(eigenvalues)
    kept = spectrum.density(operator, KEY, probes=20, steps=25)
    lean = spectrum.density(operator, KEY, probes=20, steps=25, reorthogonalize=False)
    assert distance(kept, eigenvalues) < 0.01 * 30
    assert distance(lean, eigenvalues) < 0.01 * 30
    np.testing.assert_allclose(kept.nodes.max(), 30, rtol=1e-10)


@pytest.mark.parametrize(
    ("smoothing", "kernel"),
    [
        ("gaussian", stats.norm.pdf),
        ("lorentzian", stats.cauchy.pdf),
        ("box", lambda x: 0.5 * (np.abs(x) <= 1)),
    ],
)
def test_the_density_is_the_smoothed_quadrature(x64, smoothing, kernel):
    _, operator = operators.matrix(operators.with_outliers())
    grid = np.linspace(-15, 35, 101)
    found = spectrum.density(operator, KEY, probes=5, steps=10, smoothing=smoothing, width=0.7, grid=grid)
    apart = (grid[:, None, None] - np.asarray(found.nodes)) / 0.7
    curves = (kernel(apart) / 0.7 * np.asarray(found.weights)).sum(-1)
    np.testing.assert_allclose(found.density, curves.mean(1), atol=1e-12)
    np.testing.assert_allclose(found.standard_error, stats.sem(curves, axis=1), atol=1e-12)
    np.testing.assert_array_equal(found.grid, grid)


def test_the_grid_holds_the_whole_density():
    _, operator = operators.matrix(operators.with_outliers(), dtype=np.float32)
    found = spectrum.density(operator, KEY, probes=4, steps=12, points=2000)
    assert float(jnp.trapezoid(found.density, found.grid)) == pytest.approx(1, abs=1e-3)
    assert found.grid[0] < -12
    assert found.grid[-1] > 30
    np.testing.assert_allclose(found.weights.sum(1), 1, rtol=1e-5)
    flat = spectrum.density(curvature.Matrix(jnp.zeros((9, 9))), KEY, probes=2, steps=3)
    assert np.isfinite(flat.density).all()


def test_the_first_probes_of_many_are_those_of_few():
    _, operator = operators.matrix(operators.with_outliers(), dtype=np.float32)
    few, many = (spectrum.density(operator, KEY, probes=probes, steps=5).nodes for probes in (2, 4))
    np.testing.assert_allclose(many[:2], few, rtol=1e-4, atol=1e-4)


@pytest.mark.beyond
def test_a_density_survives_a_kill(tmp_path, x64, monkeypatch):
    monkeypatch.setattr(laboratory, "BETWEEN_CHECKPOINTS", 0)
    _, operator = operators.network()

    def run(kill_at):
        lab, calls = Lab(tmp_path), []

        def segment(state):
            calls.append(int(state.step))
            if len(calls) == kill_at:
                raise KeyboardInterrupt
            return spectrum.density_step(operator, state, steps=3), {}

        start = spectrum.density_init(operator, KEY, probes=3, steps=20)
        return lab.train("density", segment, start, segments=7), calls

    with pytest.raises(KeyboardInterrupt):
        run(kill_at=4)
    resumed, calls = run(kill_at=0)
    assert calls == [9, 12, 15, 18]
    assert int(resumed.state.step) == 20
    straight = spectrum.density(operator, KEY, probes=3, steps=20)
    np.testing.assert_allclose(spectrum.density_result(resumed.state).nodes, straight.nodes, atol=1e-12)


def test_an_unfinished_state_gives_the_quadrature_of_its_steps(x64):
    _, operator = operators.matrix(operators.with_outliers())
    state = spectrum.density_init(operator, KEY, probes=3, steps=20)
    found = spectrum.density_result(operators.stored(spectrum.density_step(operator, state, steps=4)))
    short = spectrum.density(operator, KEY, probes=3, steps=4)
    taken = np.asarray(found.weights) > 1e-12
    assert (taken.sum(1) == 4).all()
    np.testing.assert_allclose(np.asarray(found.nodes)[taken], np.ravel(short.nodes), atol=1e-10)
    np.testing.assert_allclose(found.density, short.density, atol=1e-10)


def test_invariant_subspaces_end_a_probe():
    _, operator = operators.matrix([2.0] * 30 + [-1.0] * 30, dtype=np.float32)
    found = spectrum.density(operator, KEY, probes=3, steps=8)
    heavy = np.asarray(found.weights) > 1e-4
    assert (heavy.sum(1) == 2).all()
    np.testing.assert_allclose(np.asarray(found.nodes)[heavy].reshape(3, 2), [[-1, 2]] * 3, atol=1e-4)


@record
class Scaling(curvature.Operator):
    """Multiplication entry by entry with a pytree that lies on several devices, plus a mean over its rows."""

    template: object

    def apply(self, vector):
        return jax.tree.map(lambda scale, v: scale * v + jnp.mean(v), self.template, vector)


@pytest.mark.beyond
def test_vectors_may_lie_on_several_devices():
    rng = np.random.default_rng(0)
    scales = {"a": np.float32(rng.standard_normal((16, 5))), "b": np.float32(rng.standard_normal(8))}
    sharding = NamedSharding(Mesh(np.array(jax.devices()), ("data",)), PartitionSpec("data"))
    whole, split = Scaling(scales), Scaling(jax.device_put(scales, sharding))

    def program(operator):
        found = spectrum.density(operator, KEY, probes=3, steps=6)
        top = spectrum.top_eigenpairs(operator, 2, KEY, tolerance=1e-5)
        return found.nodes, found.weights, top.values, spectrum.trace(operator, KEY, probes=4).value

    compiled = jax.jit(program).lower(split).compile()
    for one, other in zip(compiled(split), program(whole)):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    state = spectrum.density_init(split, KEY, probes=3, steps=6)
    text = jax.jit(spectrum.density_step).lower(split, state).compile().as_text()
    assert "all-reduce" in text
    assert "all-gather" not in text


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"steps": 10}, ValueError, "steps is 10: take at most 9, the dimension of the operator"),
        ({"steps": 0}, ValueError, "steps is 0: take a whole number at least 1"),
        ({"probes": 0}, ValueError, "probes is 0: take a whole number at least 1"),
        ({"points": 1}, ValueError, "points is 1: take a whole number at least 2"),
        ({"smoothing": "none"}, ValueError, "smoothing is 'none': take 'gaussian', 'lorentzian' or 'box'"),
        ({"width": 0.0}, ValueError, "width is 0.0: take a positive number"),
        ({"width": np.ones(2)}, ValueError, "width has the shape .2,.: take one number"),
        ({"grid": np.ones((2, 2))}, ValueError, "grid has the shape .2, 2.: take"),
        ({"reorthogonalize": 1}, TypeError, "reorthogonalize is 1: take True or False"),
        ({"key": 0}, TypeError, "key is 0: take one random key"),
        ({"operator": np.eye(9)}, TypeError, "operator is a ndarray: take an Operator"),
    ],
)
def test_what_has_no_density_is_refused(own_errors, change, error, words):
    arguments = {"operator": curvature.Matrix(jnp.eye(9)), "key": KEY, "steps": 4} | change
    with pytest.raises(error, match=words):
        spectrum.density(**arguments)


def test_operators_act_on_real_vectors(own_errors):
    with pytest.raises(TypeError, match="operator acts on vectors of int32: take one on real floating-point"):
        spectrum.density(Scaling(jnp.arange(9)), KEY, steps=4)
    with pytest.raises(ValueError, match="operator acts on vectors without entries"):
        spectrum.density(Scaling(jnp.zeros((0,))), KEY, steps=4)


def test_a_state_and_its_operator_belong_together(own_errors):
    state = spectrum.density_init(curvature.Matrix(jnp.eye(9)), KEY, steps=4)
    with pytest.raises(
        ValueError, match="operator has dimension 8: take one of dimension 9, that of the state"
    ):
        spectrum.density_step(curvature.Matrix(jnp.eye(8)), state)
    with pytest.raises(ValueError, match="steps is 0: take a whole number at least 1"):
        spectrum.density_step(curvature.Matrix(jnp.eye(9)), state, steps=0)
