r"""Deep linear networks $x \mapsto W_L \cdots W_1 x$ as plain functions of their matrices."""

from collections.abc import Sequence
from functools import reduce
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar

Weights = Sequence[Real[AnyArray, "_ _"]]
"""The matrices of the layers, `(outputs, inputs)`; each takes what the one before it gives."""


def init(key: RandomKey, widths: Sequence[int], *, scale: RealScalar | None = None) -> tuple[Array, ...]:
    r"""Draw the matrices of a network with independent normal entries.

    Args:
        key: The random key.
        widths: The numbers of inputs, of the units of each hidden layer, and of outputs; at least three.
        scale: The standard deviation of the entries, 0 or more; by default $1 / \sqrt{inputs}$ of each layer.

    Returns:
        The matrices, the first layer's first.

    Raises:
        ValueError: If there is no hidden layer, a width is below 1, or the scale is negative.
        TypeError: If a width is not a whole number.

    Example:
        >>> import jax
        >>> from jaxtheory.landscape import linear_networks
        >>> [w.shape for w in linear_networks.init(jax.random.key(0), (6, 4, 3))]
        [(4, 6), (3, 4)]

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    checks.random_key("key", key)
    widths = check_widths(widths)
    if scale is not None:
        checks.nonnegative("scale", scale)
    keys = jax.random.split(key, len(widths) - 1)
    return tuple(
        jax.random.normal(one, (outputs, inputs)) * (inputs**-0.5 if scale is None else scale)
        for one, inputs, outputs in zip(keys, widths[:-1], widths[1:])
    )


def end_to_end(params: Weights) -> Float[Array, "outputs inputs"]:
    r"""Return the map that the network computes, $W_L \cdots W_1$.

    Args:
        params: The matrices, the first layer's first.

    Returns:
        The product.

    Raises:
        ValueError: If there is no matrix, or their shapes do not match.
        TypeError: If a matrix is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> linear_networks.end_to_end([jnp.ones((2, 3)), jnp.ones((1, 2))])
        Array([[2., 2., 2.]], dtype=float32)

    References:
        Baldi and Hornik, Neural networks and principal component analysis, 1989.
    """
    weights, back = as_weights(params)
    return back(product(weights))


def middle(params: Weights) -> Float[Array, "outputs inputs"]:
    r"""Return the product of all matrices but the first and the last, $W_{L-1} \cdots W_2$.

    A saddle at which its rank is the narrowest hidden width has a direction of negative curvature. With two
    matrices it is the identity of the hidden layer.

    Args:
        params: The matrices, the first layer's first; at least two.

    Returns:
        The product.

    Raises:
        ValueError: If there are fewer than two matrices, or their shapes do not match.
        TypeError: If a matrix is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> linear_networks.middle([jnp.ones((2, 3)), jnp.ones((1, 2))])
        Array([[1., 0.],
               [0., 1.]], dtype=float32)

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    weights, back = as_weights(params)
    if len(weights) < 2:
        raise ValueError(f"params holds {len(weights)} matrix: take at least two")
    return back(product([jnp.eye(weights[0].shape[0], dtype=weights[0].dtype), *weights[1:-1]]))


def apply(params: Weights, x: Real[AnyArray, "... inputs"]) -> Float[Array, "... outputs"]:
    r"""Return the outputs of the network, $W_L \cdots W_1 x$.

    Args:
        params: The matrices, the first layer's first.
        x: The inputs.

    Returns:
        The outputs.

    Raises:
        ValueError: If shapes do not match.
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> linear_networks.apply([jnp.ones((2, 3)), jnp.ones((1, 2))], jnp.array([1.0, 2.0, 3.0]))
        Array([12.], dtype=float32)

    References:
        Baldi and Hornik, Neural networks and principal component analysis, 1989.
    """
    (x, *weights), back = _arrays(params, x=x)
    checks.axes("x", x, "...", "inputs", sizes=(weights[0].shape[1],))
    return back(reduce(lambda hidden, w: matmul(hidden, w.T), weights, x))


def loss(
    params: Weights, batch: tuple[Real[AnyArray, "n inputs"], Real[AnyArray, "n outputs"]]
) -> Float[Array, ""]:
    r"""Return half of the mean squared error, $\frac{1}{2n} \sum_i \|W_L \cdots W_1 x_i - y_i\|^2$.

    Args:
        params: The matrices, the first layer's first.
        batch: The inputs and the targets, one example per row.

    Returns:
        The loss.

    Raises:
        ValueError: If shapes do not match.
        TypeError: If an array is not real.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import linear_networks
        >>> batch = jnp.ones((4, 3)), jnp.ones((4, 1))
        >>> float(linear_networks.loss([jnp.ones((2, 3)), jnp.ones((1, 2))], batch))
        12.5

    References:
        Kawaguchi, Deep learning without poor local minima, 2016.
    """
    (x, targets, *weights), back = _arrays(params, x=batch[0], targets=batch[1])
    checks.axes("x", x, "n", "inputs", sizes=(None, weights[0].shape[1]))
    checks.axes("targets", targets, "n", "outputs", sizes=(x.shape[0], weights[-1].shape[0]))
    outputs = reduce(lambda hidden, w: matmul(hidden, w.T), weights, x)
    return back(jnp.sum((outputs - targets) ** 2) / (2 * x.shape[0]))


def product(weights: Sequence[Array]) -> Array:
    """The product of matrices that are known to match, the first layer's on the right."""
    return reduce(lambda before, w: matmul(w, before), weights)


def as_weights(params: Weights) -> tuple[list[Array], Any]:
    """The matrices in the dtype of the computation, and what gives results their dtype."""
    return _arrays(params)


def check_widths(widths: Sequence[int]) -> tuple[int, ...]:
    """Widths of at least three layers, as Python's numbers."""
    widths = tuple(checks.count("widths", width) for width in widths)
    if len(widths) < 3:
        raise ValueError(f"widths is {widths}: take the inputs, at least one hidden layer, and the outputs")
    return widths


def _arrays(params: Weights, **others: Any) -> tuple[list[Array], Any]:
    """Other arrays and the matrices in one dtype, known to match."""
    named = {f"params[{place}]": one for place, one in enumerate(params)}
    if not named:
        raise ValueError("params holds no matrix: take one for each layer")
    arrays, back = real_arrays(**others, **named)
    inputs = None
    for name, one in zip(named, arrays[len(others) :]):
        checks.axes(name, one, "outputs", "inputs", sizes=(None, inputs))
        inputs = one.shape[0]
    return arrays, back
