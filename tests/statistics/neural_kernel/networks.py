"""Networks, dense Jacobians and expectations by quadrature, against which tangent kernels are held."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy import integrate, special


def jacobian_kernel(apply, params, x, y):
    """The kernel (n, m, outputs, outputs) from Jacobians with respect to one vector of all parameters."""
    flat, unravel = ravel_pytree(params)

    @jax.jit
    def jacobian(points):
        return jax.jacrev(lambda vector: apply(unravel(vector), points).reshape(len(points), -1))(flat)

    return np.einsum("iok,jpk->ijop", jacobian(x), jacobian(y))


def standard(activation, weight_variance, bias_variance):
    """A fully connected network whose parameters are standard normal, pairs of weights and biases."""

    def apply(params, x):
        for layer, (weights, bias) in enumerate(params):
            x = activation(x) if layer else x
            x = jnp.sqrt(weight_variance / len(weights)) * (x @ weights) + jnp.sqrt(bias_variance) * bias
        return x

    return apply


def standard_parameters(key, *widths):
    """Parameters of such a network."""
    keys = jax.random.split(key, 2 * len(widths))
    shapes = list(pairwise(widths))
    return [
        (jax.random.normal(keys[2 * k], shape), jax.random.normal(keys[2 * k + 1], shape[1:]))
        for k, shape in enumerate(shapes)
    ]


def relu_by_quadrature(covariance, one, other):
    """E[max(u, 0) max(v, 0)] and the share of both being positive, by an integral over the angle."""
    angle = np.arccos(np.clip(covariance / np.sqrt(one * other), -1, 1))
    low, high = angle - np.pi / 2, np.pi / 2
    # In polar coordinates the radial integrals of r^3 and r are 2 and 1.
    values = integrate.quad(lambda t: np.cos(t) * np.cos(t - angle), low, high)[0]
    shares = integrate.quad(lambda _: 1.0, low, high)[0]
    return np.sqrt(one * other) * 2 * values / (2 * np.pi), shares / (2 * np.pi)


def erf_by_quadrature(covariance, one, other):
    """E[erf(u) erf(v)] and E[erf'(u) erf'(v)], by Gauss and Hermite's nodes."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(160)
    weights = np.outer(weights, weights) / (2 * np.pi)
    root = np.linalg.cholesky([[one, covariance], [covariance, other + 1e-15]])
    u, v = root[0, 0] * nodes[:, None], root[1, 0] * nodes[:, None] + root[1, 1] * nodes
    slopes = 4 / np.pi * np.exp(-(u**2) - v**2)
    return np.sum(weights * special.erf(u) * special.erf(v)), np.sum(weights * slopes)


def by_recursion(expect, x, y, depth, weights, biases):
    """The two kernels of an infinitely wide network between two points, with expectations by quadrature."""
    pair = np.array([[a @ b for b in (x, y)] for a in (x, y)]) * weights / len(x) + biases
    ntk = pair[0, 1]
    for _ in range(depth):
        value, slope = expect(pair[0, 1], pair[0, 0], pair[1, 1])
        own = [expect(pair[k, k], pair[k, k], pair[k, k])[0] for k in (0, 1)]
        pair = weights * np.array([[own[0], value], [value, own[1]]]) + biases
        ntk = pair[0, 1] + weights * slope * ntk
    return pair[0, 1], ntk
