"""Layered pursuits against dense matrices, Flax and scikit-learn."""

import flax.nnx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import Lasso

from jaxtheory.sparse import multilayer
from jaxtheory.sparse.multilayer import layered
from tests.sparse.multilayer.models import CASES, made, matrices, soft


@pytest.mark.parametrize("boundary", ["periodic", "zero"])
@pytest.mark.parametrize("name", CASES)
def test_synthesis_and_thresholding_are_those_of_the_dense_matrices(name, boundary, x64, rng):
    filters, size, strides = made(rng, name)
    chain = matrices(filters, size, strides, boundary)
    grid = [n // np.prod(strides) for n in size]
    deepest = rng.standard_normal((*grid, filters[-1].shape[-1]))
    options = {"strides": strides, "boundary": boundary}
    layers = multilayer.synthesize(filters, deepest, **options)
    expected = np.ravel(deepest)
    for matrix, layer in zip(reversed(chain), reversed(layers[:-1])):
        expected = matrix @ expected
        np.testing.assert_allclose(np.ravel(layer), expected, atol=1e-11)
    x = rng.standard_normal((*size, filters[0].shape[-2]))
    thresholds = [1.5 * np.abs(rng.standard_normal(d.shape[-1])) for d in filters]
    kind, shrink = {
        "periodic": ("soft", soft),
        "zero": ("hard", lambda z, threshold: z * (np.abs(z) > threshold)),
    }[boundary]
    found = multilayer.layered_thresholding(filters, x, thresholds, kind=kind, **options)
    z = x.ravel()
    for matrix, threshold, layer in zip(chain, thresholds, found):
        z = shrink(matrix.T @ z, np.tile(threshold, matrix.shape[1] // len(threshold)))
        np.testing.assert_allclose(np.ravel(layer), z, atol=1e-10)


@pytest.mark.parametrize("strides", [(1, 2), (2, 2)])
def test_nonnegative_soft_thresholding_is_the_forward_pass_of_a_network(strides, x64, rng):
    x = rng.standard_normal((3, 12, 12, 2))
    widths, kernels = (2, 5, 4), ((4, 3), (3, 3))
    values, filters, thresholds = x, [], []
    for i, (kernel, stride) in enumerate(zip(kernels, strides)):
        layer = flax.nnx.Conv(
            widths[i], widths[i + 1], kernel, strides=stride, padding="CIRCULAR",
            param_dtype=jnp.float64, precision="highest", rngs=flax.nnx.Rngs(i),
        )  # fmt: skip
        bias = -np.abs(rng.standard_normal(widths[i + 1])) / 10
        layer.bias.set_value(jnp.asarray(bias))
        values = flax.nnx.relu(layer(values))
        filters.append(layer.kernel.get_value())
        thresholds.append(-bias)
    found = multilayer.layered_thresholding(filters, x, thresholds, kind="nonnegative", strides=strides)[-1]
    assert 0 < np.count_nonzero(found) < found.size
    assert np.abs(found - values).max() <= 1e-12 * np.abs(values).max()


@pytest.mark.beyond
def test_layered_basis_pursuit_solves_scikit_learns_lasso_in_each_layer(x64, rng):
    filters, size, strides = made(rng, "signal of strides")
    x = rng.standard_normal((3, *size, filters[0].shape[-2]))
    x[1, 0] = np.nan
    # For each image of the batch its own penalty in the second layer.
    second = np.array([0.3, 0.3, 0.6]).reshape(3, *[1] * (x.ndim - 1))
    found = multilayer.layered_basis_pursuit(
        filters, x, [1.0, second], nonnegative=True, strides=strides, tolerance=1e-12,
        max_steps=10_000,
    )  # fmt: skip
    for one in found:
        assert one.converged.tolist() == [True, False, True]
    chain = matrices(filters, size, strides, "periodic")
    for image in (0, 2):
        below = x[image].ravel()
        for matrix, penalty, one in zip(chain, (1.0, second[image].item()), found):
            model = Lasso(
                penalty / below.size, fit_intercept=False, positive=True, tol=1e-13, max_iter=500_000
            )
            best = model.fit(matrix, below).coef_

            def objective(z, matrix=matrix, below=below, penalty=penalty):
                return np.sum((below - matrix @ z) ** 2) / 2 + penalty * np.abs(z).sum()

            codes = np.ravel(one.codes[image])
            assert 0 < np.count_nonzero(codes) < codes.size
            np.testing.assert_allclose(objective(codes), objective(best), rtol=1e-9)
            below = codes


@pytest.mark.beyond
def test_the_tolerance_is_no_part_of_the_program(rng):
    filters, x = [np.float32(rng.standard_normal((3, 1, 2)))], np.float32(rng.standard_normal((8, 1)))

    @jax.jit
    def solved(tolerance):
        return multilayer.layered_basis_pursuit(filters, x, [0.3], tolerance=tolerance)[0]

    coarse, fine = solved(0.5), solved(1e-4)
    assert coarse.converged
    assert fine.converged
    assert fine.gap <= 1e-4 * fine.objective
    before = layered._pursued._cache_size()
    for tolerance in (1e-2, 1e-3):
        multilayer.layered_basis_pursuit(filters, x, [0.3], tolerance=tolerance)
    assert layered._pursued._cache_size() == before + 1
