"""Operators with a Jacobian of the outputs on both sides: the Gauss-Newton matrix and Fisher information."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks
from jaxtheory.core.records import record, static
from jaxtheory.core.types import Precision, RandomKey
from jaxtheory.landscape.curvature import losses, means, parameters
from jaxtheory.landscape.curvature.batches import Batch, Batches, take
from jaxtheory.landscape.curvature.distributions import DISTRIBUTIONS, NAMES
from jaxtheory.landscape.curvature.kept import Keep
from jaxtheory.landscape.curvature.operators import Operator

KINDS = ("exact", "monte_carlo", "empirical")
"""How the expectation over targets is taken."""


@record
class GaussNewton(means.Mean):
    """The generalized Gauss-Newton matrix of a loss of outputs."""

    params: PyTree
    fixed: PyTree
    batches: Batches | None
    outputs: Callable[..., Any] = static()
    loss: Callable[..., Any] = static()
    precision: Precision = static()

    def value(self, one: Batch) -> Any:
        """Return the loss of one batch."""
        x, target = one.data
        return self.loss(self.outputs(self.with_params(self.params), x), target)

    def on_batch(self, one: Batch, vector: PyTree) -> PyTree:
        """Multiply one vector by the matrix of one batch."""
        x, target = one.data
        z, push, pull = _linearized(lambda params: self.outputs(self.with_params(params), x), self.params)
        slope = jax.grad(lambda z: self.loss(z, target))
        return pull(jax.jvp(slope, (z,), (push(vector),))[1])


@record
class Fisher(means.Mean):
    """The Fisher information of the parameters in the distribution of a network's targets."""

    params: PyTree
    fixed: PyTree
    batches: Batches | None
    key: RandomKey | None
    outputs: Callable[..., Any] = static()
    distribution: str = static()
    kind: str = static()
    samples: int = static()
    precision: Precision = static()

    def value(self, one: Batch) -> Any:
        """Return the sum of the outputs on one batch."""
        return jnp.sum(self.outputs(self.with_params(self.params), one.data[0]))

    def on_batch(self, one: Batch, vector: PyTree) -> PyTree:
        """Multiply one vector by the information of one batch."""
        x = one.data[0]
        z, push, pull = _linearized(lambda params: self.outputs(self.with_params(params), x), self.params)
        change = push(vector)
        slope = jax.grad(DISTRIBUTIONS[self.distribution].log_partition)
        if self.kind == "exact":
            return pull(jax.jvp(slope, (z,), (change,))[1] / len(z))
        scores = self._statistics(one, z) - slope(z)
        axes = tuple(range(2, scores.ndim))
        along = jnp.sum(scores * change, axis=axes, keepdims=True)
        return pull(jnp.mean(scores * along, axis=0) / len(z))

    def _statistics(
        self, one: Batch, z: Float[Array, "examples ..."]
    ) -> Float[Array, "samples examples ..."]:
        """Sufficient statistics of the targets that were given, or of targets that are drawn."""
        family = DISTRIBUTIONS[self.distribution]
        if self.kind == "empirical":
            return family.statistic(one.data[1], z)[None]

        def draws(number: Array, z: Array) -> Array:
            # An example draws by its place among all, however they are divided in batches.
            keys = jax.random.split(jax.random.fold_in(self.key, number), self.samples)
            return jax.vmap(lambda key: family.draw(key, z))(keys)

        return jax.vmap(draws, out_axes=1)(one.start + jnp.arange(len(z)), z)


def gauss_newton(
    outputs: Callable[..., Any],
    loss: Callable[..., Any],
    params: PyTree,
    batches: PyTree,
    *,
    part: PyTree | None = None,
    mesh: Mesh | None = None,
    keep: Keep = False,
    precision: Precision = "highest",
) -> Operator:
    r"""Return the generalized Gauss-Newton matrix of a loss of outputs, a mean over batches.

    $$G = \sum_b \frac{n_b}{n} J_b^\top \, \nabla_z^2 \ell(z_b, t_b) \, J_b, \qquad z_b = f(w, x_b), \quad
    J_b = \partial z_b / \partial w$$

    Args:
        outputs: The network $f$ as a function `outputs(params, x) -> z`; keep it from call to call, as
            programs are compiled for it.
        loss: The function `loss(z, target) -> scalar`, the mean over a batch.
        params: The parameters $w$, a pytree of real floating-point arrays.
        batches: Pairs `(x, target)` of pytrees of arrays with leading axes (batches, examples), or a list of
            such pairs of any size, each taken with its number of examples $n_b$.
        part: The parameters that vary, as a pytree of truth values like `params` or the upper part of one;
            by default all. The vectors have `None` in place of the others.
        mesh: The devices among which the batches are divided; by default one device has them all.
        keep: Whether to linearize once and keep what all products have in common, which grows with the number
            of examples; or the largest number of bytes that may be kept, beyond which products are computed
            anew.
        precision: The precision of matrix products for which the functions name none.

    Returns:
        The operator, positive semidefinite where the loss is convex in the outputs.

    Raises:
        TypeError: If parameters are not real floating-point arrays, or the loss gives no floating-point
            number.
        ValueError: If the loss is not a scalar or not finite, batches are not pairs or of unequal structure,
            or `part` does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature
        >>> line = lambda params, x: x * params
        >>> error = lambda z, target: jnp.mean((z - target) ** 2) / 2
        >>> batches = [(jnp.array([1.0, 2.0]), jnp.zeros(2)), (jnp.array([3.0]), jnp.zeros(1))]
        >>> curvature.gauss_newton(line, error, jnp.ones(()), batches).matvec(3.0)
        Array(14., dtype=float32)

    References:
        Nicol N. Schraudolph, "Fast curvature matrix-vector products for second-order gradient descent", 2002.
    """
    varied, fixed = parameters.split(params, part)
    operator = GaussNewton(
        params=varied,
        fixed=fixed,
        batches=_pairs(batches, mesh),
        outputs=outputs,
        loss=loss,
        precision=precision,
    )
    losses.shaped("loss", means.value_shape(operator), (), "one number, as the mean over the batch")
    return means.made(operator, "loss", keep)


def fisher(
    outputs: Callable[..., Any],
    params: PyTree,
    batches: PyTree,
    *,
    distribution: Literal["categorical", "bernoulli", "normal", "poisson"] = "categorical",
    kind: Literal["exact", "monte_carlo", "empirical"] = "exact",
    samples: int = 1,
    key: RandomKey | None = None,
    part: PyTree | None = None,
    mesh: Mesh | None = None,
    keep: Keep = False,
    precision: Precision = "highest",
) -> Operator:
    r"""Return the Fisher information of the parameters, a mean over examples.

    $$F = \frac1n \sum_i \mathbb{E}_t \left[ g_i(t) \, g_i(t)^\top \right], \qquad
    g_i(t) = \nabla_w \log p(t \mid f(w, x_i))$$

    Exactly, $F = \frac1n \sum_i J_i^\top \nabla^2 A(z_i) J_i$ with the log partition function $A$ of the
    distribution; by Monte Carlo, targets are drawn from it; the empirical one takes the targets of the data.
    The last is no estimate of the first.

    Args:
        outputs: The network $f$ as a function `outputs(params, x) -> z` with an array `(examples, ...)` as
            its value, one row for each example; keep it from call to call, as programs are compiled for it.
        params: The parameters $w$, a pytree of real floating-point arrays.
        batches: Pairs `(x, target)` of pytrees of arrays with leading axes (batches, examples), or a list of
            such pairs of any size; the target may be `None` where it is not used.
        distribution: The distribution of the target: categorical with logits along the last axis and targets
            numbered from 0, Bernoulli with logits, normal of unit variance with means, or Poisson with
            logarithms of rates. Outputs of further axes are independent.
        kind: The way in which the expectation over targets is taken.
        samples: The number of targets drawn for each example by Monte Carlo, at least 1.
        key: The random key of Monte Carlo; an example has the same draws however batches are divided.
        part: The parameters that vary, as a pytree of truth values like `params` or the upper part of one;
            by default all. The vectors have `None` in place of the others.
        mesh: The devices among which the batches are divided; by default one device has them all.
        keep: Whether to linearize once and keep what all products have in common, which grows with the number
            of examples; or the largest number of bytes that may be kept, beyond which products are computed
            anew.
        precision: The precision of matrix products for which the function names none.

    Returns:
        The operator, positive semidefinite.

    Raises:
        TypeError: If parameters are not real floating-point arrays, the outputs are not one array, or a key
            is missing.
        ValueError: If an option is unknown, outputs are not finite or have no axis of examples, batches are
            not pairs or of unequal structure, or `part` does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature
        >>> logits = lambda params, x: x @ params
        >>> batches = [(jnp.ones((5, 1)), None)]
        >>> information = curvature.fisher(logits, jnp.zeros((1, 1)), batches, distribution="bernoulli")
        >>> information.matvec(jnp.ones((1, 1)))
        Array([[0.25]], dtype=float32)

    References:
        James Martens, "New insights and perspectives on the natural gradient method", 2020.
        Frederik Kunstner, Lukas Balles and Philipp Hennig, "Limitations of the empirical Fisher approximation
        for natural gradient descent", 2019.
    """
    checks.one_of("distribution", distribution, NAMES)
    checks.one_of("kind", kind, KINDS)
    samples = checks.count("samples", samples)
    if kind == "monte_carlo":
        if key is None:
            raise TypeError("kind 'monte_carlo' draws targets, and no key is given: give key=")
        checks.random_key("key", key)
    elif samples > 1 or key is not None:
        raise ValueError(f"samples and key are of use where kind is 'monte_carlo', and it is {kind!r}")
    varied, fixed = parameters.split(params, part)
    operator = Fisher(
        params=varied,
        fixed=fixed,
        batches=_pairs(batches, mesh),
        key=key,
        outputs=outputs,
        distribution=distribution,
        kind=kind,
        samples=samples,
        precision=precision,
    )
    _check_outputs(operator, operator.batches)
    return means.made(operator, "the sum of outputs", keep)


def _linearized(function: Callable[[PyTree], PyTree], params: PyTree) -> tuple[Any, ...]:
    """A function's value, its Jacobian, and the transpose of that."""
    z, push = jax.linearize(function, params)
    transpose = jax.linear_transpose(push, params)
    return z, push, lambda change: transpose(change)[0]


def _pairs(batches: PyTree, mesh: Mesh | None) -> Batches:
    """Batches, each a pair of inputs and targets."""
    taken = take(batches, mesh)
    data = taken.groups[0].data
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise ValueError(f"batches are of the type {type(data).__name__}: take pairs (x, target)")
    return taken


def _check_outputs(operator: Fisher, batches: Batches) -> None:
    """Refuse outputs that are not one array with a row for each example."""
    one = batches.first()
    z = jax.eval_shape(
        lambda operator, x: operator.outputs(operator.with_params(operator.params), x), operator, one.data[0]
    )
    examples = jax.tree.leaves(one.data)[0].shape[0]
    if not hasattr(z, "shape"):
        raise TypeError(f"outputs give a {type(z).__name__}: take one array with a row for each example")
    if z.shape[:1] != (examples,) or (operator.distribution == "categorical" and len(z.shape) < 2):
        wanted = "(examples, ..., classes)" if operator.distribution == "categorical" else "(examples, ...)"
        raise ValueError(f"outputs give the shape {z.shape} for {examples} examples: take {wanted}")
    if operator.kind == "empirical":
        wanted = z.shape[:-1] if operator.distribution == "categorical" else z.shape
        found = getattr(one.data[1], "shape", None)
        if found != wanted:
            raise ValueError(f"targets have the shape {found} with outputs of {z.shape}: take {wanted}")
