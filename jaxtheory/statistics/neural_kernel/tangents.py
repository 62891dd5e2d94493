"""The tangent kernel of a network at hand."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree, Real

from jaxtheory.core import checks, trees
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.linalg import matmul
from jaxtheory.core.types import AnyArray, Precision
from jaxtheory.statistics.neural_kernel import layered

OUTPUTS = ("trace", "full")
METHODS = ("auto", "jacobian", "products")
BYTES = 2**29
"""What a block of examples may take by default."""
Features = list[tuple[Array | None, Array]]
"""For each dense layer its inputs (n, inputs) and gradients (n, outputs of the network, outputs); for all
other parameters no inputs, and the gradients themselves."""


class Facts(NamedTuple):
    """The options of the compiled program."""

    outputs: str
    method: str
    block: int | None
    precision: str


def empirical(
    apply: Callable[..., Any],
    params: PyTree,
    x: Real[AnyArray, "n ..."],
    y: Real[AnyArray, "m ..."] | None = None,
    *,
    outputs: Literal["trace", "full"] = "trace",
    method: Literal["auto", "jacobian", "products"] = "auto",
    block: int | None = None,
    precision: Precision = "highest",
) -> Float[Array, "n m"] | Float[Array, "n m outputs outputs"]:
    r"""Return the tangent kernel of a network, the inner products of its gradients.

    $$\Theta_{oo'}(x, y) = \sum_k \partial_{w_k} f_o(x) \, \partial_{w_k} f_{o'}(y),$$

    or its trace $\sum_o \Theta_{oo}$ over the outputs. The gradient with respect to the weights of a dense
    layer is an outer product, so that its share in the kernel is a product of two Gram matrices, of the
    layer's inputs and of the gradients with respect to its outputs; neither the gradient nor the Jacobian is
    formed. Such layers are found in the program of `apply` itself: weights, up to a factor and the order of
    their entries, that meet one vector for each example in one product. The gradients with respect to the
    kernels of convolutions, which are small, are products of patches and gradients. What is left is
    contracted from its Jacobian, a block of examples at a time, or multiplied by `vjp` and `jvp` where that
    takes fewer operations. All of it is differentiable.

    Args:
        apply: The network $f$ as a function `apply(params, x)` with an array `(n, ...)` as its value, one row
            for each example, which depends on no other; further axes are taken for one. Keep it from call to
            call, as programs are compiled for it.
        params: The parameters $w$, a pytree of real floating-point arrays.
        x: The examples of the kernel's rows.
        y: The examples of its columns; by default those of the rows.
        outputs: What is returned of the outputs, `"trace"` for the sum over them or `"full"` for every pair.
        method: The way of computation: `"auto"` as above, or for all parameters `"jacobian"`, the contraction
            of Jacobians, or `"products"`, a product by `vjp` and `jvp` for each output of each row.
        block: The number of examples that are handled at once; by default as many as take 512 MiB.
        precision: The precision of matrix products for which the network names none.

    Returns:
        The kernel, (n, m) or (n, m, outputs, outputs), in single precision or better.

    Raises:
        TypeError: If `apply` is not a function, parameters are not real floating-point arrays, or the outputs
            are not one real array.
        ValueError: If shapes do not match, or an option is unknown or out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import neural_kernel
        >>> line = lambda params, x: x @ params["w"] + params["b"]
        >>> params = {"w": jnp.ones((2, 1)), "b": jnp.zeros(1)}
        >>> neural_kernel.empirical(line, params, jnp.eye(2)).tolist()  # <x, y> + 1
        [[2.0, 1.0], [1.0, 2.0]]

    References:
        Arthur Jacot, Franck Gabriel and Clément Hongler, "Neural tangent kernel: convergence and
        generalization in neural networks", 2018.
        Roman Novak, Jascha Sohl-Dickstein and Samuel Schoenholz, "Fast finite width neural tangent kernel",
        2022.
    """
    if not callable(apply):
        raise TypeError(f"apply is a {type(apply).__name__}: take a function of parameters and examples")
    params = trees.real_leaves("params", params)
    x = jnp.asarray(as_array("x", x))
    y = None if y is None else jnp.asarray(as_array("y", y))
    for name, points in (("x", x), ("y", x if y is None else y)):
        if points.ndim == 0 or 0 in points.shape:
            raise ValueError(f"{name} has the shape {points.shape}: take at least one example")
    if y is not None:
        if y.shape[1:] != x.shape[1:]:
            raise ValueError(f"y has the shape {y.shape}: take examples of the shape {x.shape[1:]}, as x has")
        dtype = jnp.promote_types(x.dtype, y.dtype)
        x, y = x.astype(dtype), y.astype(dtype)
    checks.one_of("outputs", outputs, OUTPUTS)
    checks.one_of("method", method, METHODS)
    block = None if block is None else checks.count("block", block)
    _check_outputs(apply, params, x)
    name = precision.name if isinstance(precision, lax.Precision) else precision
    return _kernel(params, x, y, apply, Facts(outputs, method, block, name.lower()))


def _check_outputs(apply: Callable[..., Any], params: PyTree, x: Array) -> None:
    """Refuse a function that does not give one array of real numbers with a row for each example."""
    found = jax.eval_shape(apply, params, x)
    if not hasattr(found, "shape"):
        raise TypeError(f"apply gives a {type(found).__name__}: take one array with a row for each example")
    if not jnp.issubdtype(found.dtype, jnp.floating):
        raise TypeError(f"apply gives {found.dtype}: take a network whose outputs are real floating-point")
    if found.shape[:1] != x.shape[:1] or 0 in found.shape:
        raise ValueError(
            f"apply gives the shape {found.shape} for {len(x)} examples: take one row for each of them"
        )


@partial(jax.jit, static_argnames=("apply", "facts"))
def _kernel(params: PyTree, x: Array, y: Array | None, apply: Callable[..., Any], facts: Facts) -> Array:
    with jax.default_matmul_precision(facts.precision):
        network = layered.trace(apply, params, x[0], layered=facts.method == "auto")
        leaves = jax.tree.leaves(params)
        form = partial(_between, full=facts.outputs == "full")
        if _is_cheaper_by_products(network, facts):
            rest, network.rest = network.rest, []
            shares = [_by_products(network, rest, leaves, x, x if y is None else y, facts)]
        else:
            shares = []
        if network.layers or network.rest:
            make = partial(_features, network, leaves)
            shares.append(_by_features(make, form, x, y, _block(network, facts, len(x))))
        return sum(shares)


def _is_cheaper_by_products(network: layered.Network, facts: Facts) -> bool:
    """Whether what does not belong to dense layers is multiplied by `vjp` and `jvp`."""
    if facts.method != "auto":
        return facts.method == "products"
    # For each pair of examples and output: a linearized pass, or a row of the contraction for each output.
    contraction = 2 * network.outputs * network.rest_size()
    return facts.outputs == "full" and bool(network.rest) and 3 * network.operations() < contraction


def _block(network: layered.Network, facts: Facts, n: int) -> int:
    """The number of examples that are handled at once."""
    if facts.block is not None:
        return facts.block
    layers = sum(map(network.layer_size, network.layers.values()))
    numbers = layers + network.outputs * (network.rest_size() + network.activations)
    size = max(leaf.dtype.itemsize for leaf in network.program.in_avals)
    return min(n, max(1, BYTES // (size * numbers)))


def _features(network: layered.Network, leaves: list[Array], x: Array) -> Features:
    """What the kernel of examples is made of."""
    added = network.zeros()

    def of_one(x: Array) -> tuple[list[Array], list[Array], list[Array]]:
        def run(rest: list[Array], added: list[Array]) -> tuple[Array, list[Array]]:
            return network.run(_replaced(leaves, network.rest, rest), x, added)

        outputs, pull, inputs = jax.vjp(run, [leaves[k] for k in network.rest], added, has_aux=True)
        rest, slopes = jax.vmap(pull)(jnp.eye(len(outputs), dtype=outputs.dtype))
        return inputs, slopes, [one.reshape(len(outputs), -1) for one in rest]

    inputs, slopes, rest = jax.vmap(of_one)(x)
    found: Features = []
    for number, one, slope in zip(network.layers, inputs, slopes):
        slope = network.by_position(number, slope)
        if one.shape[1] == 1:
            found.append((one[:, 0], slope[:, :, 0]))
        else:
            gradients = jnp.einsum("nfk,nofr->nokr", one, slope)
            found.append((None, gradients.reshape(*gradients.shape[:2], -1)))
    return found + [(None, one) for one in rest]


def _between(one: Features, other: Features, *, full: bool) -> Array:
    """The kernel of examples with others."""
    total: Any = 0
    for (inputs, slopes), (other_inputs, other_slopes) in zip(one, other):
        n, m, outputs = len(slopes), len(other_slopes), slopes.shape[1]
        if full:
            rows, columns = (each.reshape(-1, each.shape[-1]) for each in (slopes, other_slopes))
            share = _gram(rows, columns).reshape(n, outputs, m, outputs).swapaxes(1, 2)
        else:
            share = _gram(slopes.reshape(n, -1), other_slopes.reshape(m, -1))
        if inputs is not None:
            factor = _gram(inputs, other_inputs)
            share = share * (factor[..., None, None] if full else factor)
        total = total + share
    return total


def _gram(rows: Array, columns: Array) -> Array:
    """Inner products in single precision or better."""
    wide = jnp.promote_types(rows.dtype, jnp.float32)
    return matmul(rows.astype(wide), columns.astype(wide).T)


def _by_features(
    make: Callable[..., Features], between: Callable[..., Array], x: Array, y: Array | None, block: int
) -> Array:
    """The kernel, a block of rows and columns at a time."""
    if y is None and len(x) <= block:
        own = make(x)
        return between(own, own)
    columns = x if y is None else y
    if max(len(x), len(columns)) <= block:
        return between(make(x), make(columns))

    def rows(points: Array) -> Array:
        own = make(points)
        found = lax.map(lambda others: between(own, make(others)), _blocks(columns, block))
        return jnp.moveaxis(found, 0, 1).reshape(len(points), -1, *found.shape[3:])

    found = lax.map(rows, _blocks(x, block))
    return found.reshape(-1, *found.shape[2:])[: len(x), : len(columns)]


def _by_products(
    network: layered.Network, rest: list[int], leaves: list[Array], x: Array, y: Array, facts: Facts
) -> Array:
    """The share of some parameters in the kernel, from products with Jacobians and their transposes."""
    added = network.zeros()
    size = max(leaf.dtype.itemsize for leaf in network.program.in_avals)
    block = facts.block or max(1, BYTES // (size * network.outputs * network.activations))
    varied = [leaves[k] for k in rest]

    def outputs(varied: list[Array], one: Array) -> Array:
        return network.run(_replaced(leaves, rest, varied), one, added)[0]

    def columns(points: Array) -> Array:
        push = jax.linearize(lambda varied: jax.vmap(partial(outputs, varied))(points), varied)[1]

        def row(one: Array) -> Array:
            value, pull = jax.vjp(lambda varied: outputs(varied, one), varied)
            basis = jnp.eye(len(value), dtype=value.dtype)
            return jax.vmap(lambda slope: push(*pull(slope)), out_axes=1)(basis)

        return lax.map(row, x)

    height = min(block, len(y))
    found = lax.map(columns, _blocks(y, height))
    found = jnp.moveaxis(found, 0, 1).reshape(len(x), -1, *found.shape[3:])[:, : len(y)]
    found = found.astype(jnp.promote_types(found.dtype, jnp.float32))
    return found if facts.outputs == "full" else jnp.trace(found, axis1=2, axis2=3)


def _replaced(leaves: list[Array], places: list[int], others: list[Array]) -> list[Array]:
    """The leaves with others at some places."""
    at = dict(zip(places, others))
    return [at.get(place, leaf) for place, leaf in enumerate(leaves)]


def _blocks(points: Array, block: int) -> Array:
    """Examples in blocks of one size, the last one filled up with the last example."""
    number = math.ceil(len(points) / min(block, len(points)))
    height = math.ceil(len(points) / number)
    missing = number * height - len(points)
    filled = jnp.concatenate([points, jnp.repeat(points[-1:], missing, axis=0)])
    return filled.reshape(number, height, *points.shape[1:])
