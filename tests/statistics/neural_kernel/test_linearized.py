"""Predictions of linearized networks against matrix exponentials, least squares and gradient descent."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import linalg

from jaxtheory.statistics import neural_kernel


def test_the_flow_is_that_of_the_matrix_exponential(rng, x64):
    features, asked = rng.standard_normal((4, 6)), rng.standard_normal((3, 6))
    kernel, across = features @ features.T, asked @ features.T
    targets, fitted, start = (rng.standard_normal((n, 2)) for n in (4, 4, 3))
    times = np.array([[0.0, 0.02], [0.5, np.inf]])
    found = neural_kernel.predict(kernel, across, targets, times, fitted=fitted, start=start)
    assert found.shape == (2, 2, 3, 2)
    for place in ((0, 0), (0, 1), (1, 0)):
        learned = np.eye(4) - linalg.expm(-kernel * times[place])
        expected = start + across @ np.linalg.solve(kernel, learned @ (targets - fitted))
        np.testing.assert_allclose(found[place], expected, rtol=1e-10)
    np.testing.assert_allclose(found[0, 0], start, rtol=1e-12)
    weights = linalg.lstsq(features, targets - fitted)[0]
    np.testing.assert_allclose(found[1, 1], start + asked @ weights, rtol=1e-9)


def test_gradient_descent_on_weights_in_small_steps(rng, x64):
    # More points than features: the kernel is singular, and what it cannot reach is not learned.
    features, asked, targets = (rng.standard_normal(shape) for shape in ((6, 3), (2, 3), (6, 1)))
    rate, steps, weights = 1e-4, 4000, np.zeros((3, 1))
    for _ in range(steps):
        weights -= rate * features.T @ (features @ weights - targets)
    kernel, across = features @ features.T, asked @ features.T
    found = neural_kernel.predict(kernel, across, targets, np.array([rate * steps, np.inf]))
    np.testing.assert_allclose(found[0], asked @ weights, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(found[1], asked @ linalg.lstsq(features, targets)[0], rtol=1e-9)


def test_kernels_of_several_outputs_and_a_network_that_is_linear(rng, x64):
    # Outputs share weights: the kernel of all outputs differs from output to output.
    def apply(weights, x):
        return jnp.stack([x @ weights, 2 * x[:, ::-1] @ weights], axis=1)

    x, asked, targets = rng.standard_normal((2, 5)), rng.standard_normal((3, 5)), rng.standard_normal((2, 2))
    weights = jnp.asarray(rng.standard_normal(5))
    kernel = neural_kernel.empirical(apply, weights, x, outputs="full")
    across = neural_kernel.empirical(apply, weights, asked, x, outputs="full")
    fitted, start = apply(weights, x), apply(weights, asked)
    found = neural_kernel.predict(kernel, across, targets, np.inf, fitted=fitted, start=start)
    jacobian = jax.jacobian(apply)(weights, x).reshape(4, 5)
    step = linalg.lstsq(np.asarray(jacobian), np.asarray(targets - fitted).ravel())[0]
    np.testing.assert_allclose(found, apply(weights + step, asked), rtol=1e-9)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"kernel": np.diag([1.0, -0.5])},
            "kernel has the eigenvalue -0.5 beside 1: take one that is positive semidefinite",
        ),
        ({"time": -1.0}, "time is -1.0: take a number of 0 or more"),
        ({"kernel": np.eye(3)}, r"kernel has the shape \(3, 3\): take \(2, 2\)"),
        ({"across": np.ones((4, 3))}, r"across has the shape \(4, 3\): take \(4, 2\)"),
        ({"targets": np.ones(2)}, r"targets has the shape \(2,\): take \(n, outputs\)"),
        ({"start": np.ones((2, 1))}, r"start has the shape \(2, 1\): take \(4, 1\)"),
    ],
)
def test_errors(changed, message, own_errors):
    arguments = {"kernel": np.eye(2), "across": np.ones((4, 2)), "targets": np.ones((2, 1)), "time": 1.0}
    with pytest.raises(ValueError, match=message):
        neural_kernel.predict(**(arguments | changed))
