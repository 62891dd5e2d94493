r"""Interval bounds through ReLU networks: every layer maps intervals to intervals.

Conventions: `layers` is a list of dense layers `(kernel (in, out), bias (out))` and of `Convolution`s, with a
ReLU between each and the next; `x` has leading axes and then the network's input, a vector where the first
layer is dense, an image where it is a convolution (a single channel needs no axis of its own). Bounds are
computed in the arguments' precision, and hold up to its rounding.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray, Integers, Reals
from jaxtheory.inspection import ranges
from jaxtheory.inspection.certify.relu_layers import Convolution, Layer, affine, check_inputs, pooled
from jaxtheory.inspection.ranges import Bounds


def interval(
    layers: Sequence[Any], x: Real[AnyArray, "..."], epsilon: Reals, *, bounds: Bounds = None
) -> tuple[Float[Array, "... classes"], Float[Array, "... classes"]]:
    r"""Bound the logits of a ReLU network when each entry of its input changes by at most epsilon.

    An interval with center $c$ and radius $r$ leaves a layer with center $W^\top c + b$ and radius
    $|W|^\top r$, and each end goes through the ReLU. Of one layer the bounds are sharp; of several each
    neuron's interval forgets what it shares with others.

    Args:
        layers: The layers.
        x: The inputs.
        epsilon: The largest change of an entry, at least 0; one number, or one for each input.
        bounds: The least and the largest value of entries, such as (0, 1) for pixels, numbers or arrays that
            broadcast to an input: changes that leave them are not considered, and bounds are closer. By
            default all changes are.

    Returns:
        The lower and the upper bound of each logit; under `jit`, NaN where an input is out of bounds or
        epsilon is negative.

    Raises:
        TypeError: If layers are neither pairs of arrays nor convolutions, or an argument is complex or not an
            array of numbers.
        ValueError: If shapes do not fit, or a value is out of its range where it is known.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import certify
        >>> layers = [(jnp.array([[1.0], [-2.0]]), jnp.array([0.5])), (jnp.array([[3.0]]), jnp.array([0.0]))]
        >>> lower, upper = certify.interval(layers, jnp.array([1.0, 0.5]), 0.125)
        >>> lower.item(), upper.item()  # 3 (0.5 - 3/8), 3 (0.5 + 3/8)
        (0.375, 2.625)

    References:
        Sven Gowal, Krishnamurthy Dvijotham, Robert Stanforth, Rudy Bunel, Chongli Qin, Jonathan Uesato, Relja
        Arandjelovic, Timothy Mann and Pushmeet Kohli, "On the effectiveness of interval bound propagation for
        training verifiably robust models", 2018.
    """
    arguments, _, back = _taken(layers, x, epsilon, bounds)
    return back(_interval(*arguments))


def margins(
    layers: Sequence[Any], x: Real[AnyArray, "..."], y: Integers, epsilon: Reals, *, bounds: Bounds = None
) -> Float[Array, "... classes"]:
    r"""Bound from below by how much a label's logit exceeds every other when entries change by up to epsilon.

    $\min (z_y - z_k)$ over the interval before the last layer, whose weights enter as the difference
    $w_y - w_k$: this is closer than the difference of the bounds on $z_y$ and $z_k$. The cross entropy of
    the negated margins, taken as logits, bounds the cross entropy of every changed input, and is what
    interval-bound training minimizes.

    Args:
        layers: The layers, the last of them dense.
        x: The inputs.
        y: The labels $y$, whole numbers from 0; one for each input, or one for all.
        epsilon: The largest change of an entry, at least 0; one number, or one for each input.
        bounds: The least and the largest value of entries, as `interval` takes them.

    Returns:
        The bounds, 0 at the label itself; under `jit`, NaN where an input is out of bounds, a label is no
        class, or epsilon is negative.

    Raises:
        TypeError: If layers are neither pairs of arrays nor convolutions, labels are not whole numbers, or an
            argument is complex or not an array of numbers.
        ValueError: If shapes do not fit, or a value is out of its range where it is known.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import certify
        >>> linear = [(jnp.array([[2.0, 1.0]]), jnp.zeros(2))]
        >>> certify.margins(linear, jnp.array([[1.0]]), jnp.array([0]), 0.25).tolist()
        [[0.0, 0.75]]
        >>> lower, upper = certify.interval(linear, jnp.array([[1.0]]), 0.25)
        >>> (lower[0, 0] - upper[0, 1]).item()
        0.25

    References:
        Sven Gowal, Krishnamurthy Dvijotham, Robert Stanforth, Rudy Bunel, Chongli Qin, Jonathan Uesato, Relja
        Arandjelovic, Timothy Mann and Pushmeet Kohli, "On the effectiveness of interval bound propagation for
        training verifiably robust models", 2018.
    """
    arguments, batch, back = _taken(layers, x, epsilon, bounds)
    last = arguments[0][-1]
    if isinstance(last, Convolution):
        # It is what stands last that is wrong, not the kind of it.
        raise ValueError(  # noqa: TRY004
            f"layers[{len(arguments[0]) - 1}] is a convolution: take a dense layer as the last one"
        )
    y = as_array("y", y)
    if not np.issubdtype(y.dtype, np.integer):
        raise TypeError(f"y is {y.dtype}: take whole numbers from 0, as argmax of one-hot rows")
    if y.shape not in ((), batch):
        raise ValueError(f"y has the shape {y.shape}: take one label, or {batch}, one for each input")
    checks.within("y", y, 0, last[0].shape[1] - 1)
    return back(_margins(*arguments, jnp.broadcast_to(y, batch)))


def certified(
    layers: Sequence[Any], x: Real[AnyArray, "..."], y: Integers, epsilon: Reals, *, bounds: Bounds = None
) -> Bool[Array, "..."]:
    """Return for each input whether it is classified rightly, however its entries change by up to epsilon.

    An input is certified where all `margins` are positive. Their mean is the certified accuracy, which is at
    most the accuracy under any attack of that size. An input that is not certified may be as safe.

    Args:
        layers: The layers, the last of them dense.
        x: The inputs. Memory grows with their number: take a thousand images at a time.
        y: The labels, whole numbers from 0; one for each input, or one for all.
        epsilon: The largest change of an entry, at least 0; one number, or one for each input.
        bounds: The least and the largest value of entries, as `interval` takes them.

    Returns:
        One truth value for each input; under `jit`, false where an argument is out of its range.

    Raises:
        TypeError: If layers are neither pairs of arrays nor convolutions, labels are not whole numbers, or an
            argument is complex or not an array of numbers.
        ValueError: If shapes do not fit, or a value is out of its range where it is known.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import certify
        >>> linear = [(jnp.array([[1.0, -1.0]]), jnp.zeros(2))]
        >>> certify.certified(linear, jnp.array([[1.0], [0.2]]), jnp.array([0, 0]), 0.25).tolist()
        [True, False]
    """
    found = margins(layers, x, y, epsilon, bounds=bounds)
    others = jnp.arange(found.shape[-1]) != jnp.asarray(y)[..., None]
    return jnp.all((found > 0) | ~others, axis=-1) & ~jnp.isnan(found[..., 0])


@jax.jit
def _interval(
    layers: tuple[Layer, ...], x: Array, epsilon: Array, low: Array, high: Array
) -> tuple[Array, Array]:
    ends = _before(layers, x, epsilon, low, high)
    return affine(layers[-1], f"layers[{len(layers) - 1}]", *ends)


@jax.jit
def _margins(layers: tuple[Layer, ...], x: Array, epsilon: Array, low: Array, high: Array, y: Array) -> Array:
    lower, upper = _before(layers, x, epsilon, low, high)
    kernel, bias = layers[-1]
    check_inputs(kernel, f"layers[{len(layers) - 1}]", lower)
    chosen = y[..., None] == jnp.arange(kernel.shape[1])
    # A product with zeros and ones has a gradient that is a product, too; that of an index is slow.
    of_label = matmul(chosen.astype(kernel.dtype), kernel.T)
    widest = jnp.sum((upper - lower)[..., None] / 2 * jnp.abs(of_label[..., None] - kernel), axis=-2)
    z = matmul((lower + upper) / 2, kernel) + bias
    at_label = jnp.sum(jnp.where(chosen, z, 0), axis=-1, keepdims=True)
    # The label itself is at no distance: rounding must not say otherwise.
    found = jnp.where(chosen, 0 * z, at_label - z - widest)
    return jnp.where(jnp.any(chosen, axis=-1, keepdims=True), found, jnp.nan)


def _before(
    layers: tuple[Layer, ...], x: Array, epsilon: Array, low: Array, high: Array
) -> tuple[Array, Array]:
    """The ends of the intervals before the last layer."""
    axes = tuple(range(epsilon.ndim, x.ndim))
    valid = jnp.all((low <= x) & (x <= high), axis=axes) & (epsilon >= 0)
    epsilon = jnp.where(valid, epsilon, jnp.nan).reshape(*epsilon.shape, *(1,) * len(axes))
    lower, upper = jnp.maximum(x - epsilon, low), jnp.minimum(x + epsilon, high)
    if isinstance(layers[0], Convolution) and layers[0].kernel.shape[2] == 1 and len(axes) == 2:
        lower, upper = lower[..., None], upper[..., None]
    for k, layer in enumerate(layers[:-1]):
        ends = affine(layer, f"layers[{k}]", lower, upper)
        lower, upper = (pooled(layer, jax.nn.relu(end)) for end in ends)
        if isinstance(layer, Convolution) and not isinstance(layers[k + 1], Convolution):
            lower, upper = (end.reshape(*end.shape[:-3], -1) for end in (lower, upper))
    return lower, upper


def _taken(layers: Any, x: Any, epsilon: Any, bounds: Bounds) -> tuple[tuple[Any, ...], tuple[int, ...], Any]:
    """Layers, inputs, epsilons and bounds, checked; the leading axes; and what restores the dtype."""
    layers = checks.entries("layers", layers, "a list of pairs (kernel, bias) and of Convolutions")
    named = _arrays(layers)
    low, high = ranges.ends(bounds)
    arrays, back = real_arrays(**named, x=x, epsilon=epsilon, low=low, high=high)
    *parts, x, epsilon, low, high = arrays
    taken = tuple(_rebuilt(layers[k], *parts[2 * k : 2 * k + 2]) for k in range(len(parts) // 2))
    image = isinstance(taken[0], Convolution)
    names = ("H", "W", "channels") if image else ("features",)
    if image and taken[0].kernel.shape[2] == 1 and (x.ndim < 3 or x.shape[-1] != 1):
        names = names[:2]
    checks.axes("x", x, "...", *names)
    batch, event = x.shape[: x.ndim - len(names)], x.shape[x.ndim - len(names) :]
    if epsilon.shape not in ((), batch):
        raise ValueError(f"epsilon has the shape {epsilon.shape}: take one number, or {batch}, those of x")
    ranges.check_ends(low, high, event)
    epsilon = jnp.broadcast_to(epsilon, batch)
    if all(map(checks.known, (x, epsilon, low, high))):
        ranges.check_inside(x, low, high)
        ranges.check_epsilon(epsilon, np.max(np.subtract(high, low)))
    return (taken, x, epsilon, low, high), batch, back


def _arrays(layers: tuple[Any, ...]) -> dict[str, Any]:
    """The kernels and biases by the names that errors give them."""
    if not layers:
        raise ValueError("layers are empty: take at least one layer")
    named = {}
    for k, layer in enumerate(layers):
        image = isinstance(layer, Convolution)
        if not image and (not isinstance(layer, tuple | list) or len(layer) != 2):
            raise TypeError(
                f"layers[{k}] is a {type(layer).__name__}: take a pair (kernel, bias), or a Convolution"
            )
        if image and k and not isinstance(layers[k - 1], Convolution):
            raise ValueError(f"layers[{k}] is a convolution after a dense layer: take convolutions first")
        kernel, bias = (layer.kernel, layer.bias) if image else layer
        names = (
            [f"layers[{k}].kernel", f"layers[{k}].bias"] if image else [f"layers[{k}][{j}]" for j in (0, 1)]
        )
        kernel, bias = (as_array(name, value) for name, value in zip(names, (kernel, bias)))
        axes = ("height", "width", "inputs", "outputs") if image else ("inputs", "outputs")
        checks.axes(names[0], kernel, *axes)
        checks.axes(names[1], bias, "outputs", sizes=kernel.shape[-1:])
        named |= dict(zip(names, (kernel, bias)))
    return named


def _rebuilt(layer: Any, kernel: Array, bias: Array) -> Layer:
    """A layer with its arrays in the dtype of the computation."""
    if not isinstance(layer, Convolution):
        return kernel, bias
    checks.one_of("boundary of a Convolution", layer.boundary, ("zero", "periodic", "reflect"))
    checks.one_of("pooling of a Convolution", layer.pooling, ("max", "average"))
    checks.count("window of a Convolution", layer.window)
    return jax.tree.unflatten(jax.tree.structure(layer), [kernel, bias])
