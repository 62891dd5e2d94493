"""The covariance of gradients over examples, as products with vectors."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks
from jaxtheory.core.records import record, static
from jaxtheory.core.types import Precision, RandomKey
from jaxtheory.landscape.curvature import losses, means, parameters
from jaxtheory.landscape.curvature.batches import Batch, Batches, take
from jaxtheory.landscape.curvature.kept import Keep
from jaxtheory.landscape.curvature.operators import Operator


@record
class GradientCovariance(means.Mean):
    """The covariance, or the second moment, of the gradients of a loss over examples."""

    params: PyTree
    fixed: PyTree
    batches: Batches | None
    key: RandomKey | None
    gradient: PyTree | None
    """The mean gradient, or None where it is not subtracted."""
    loss: Callable[..., Any] = static()
    precision: Precision = static()

    def value(self, one: Batch) -> Float[Array, ""]:
        """Return the mean loss of one batch."""
        return jnp.mean(self.losses(one, self.params))

    def on_batch(self, one: Batch, vector: PyTree) -> PyTree:
        """Multiply one vector by the share of one batch in the covariance."""
        values, push = jax.linearize(lambda params: self.losses(one, params), self.params)
        slopes = push(vector)
        if self.gradient is not None:
            slopes = slopes - _inner(self.gradient, vector)
        return jax.linear_transpose(push, self.params)(slopes / len(values))[0]

    def losses(self, one: Batch, params: PyTree) -> Any:
        """Return the loss of each example of a batch."""
        return self.loss(self.with_params(params), one.data, *losses.of_batch(self.key, one))

    def restricted(self, part: PyTree) -> "GradientCovariance":
        """Return the block of the covariance that belongs to a part of the parameters."""
        block = super().restricted(part)
        if self.gradient is None:
            return block
        return dataclasses.replace(block, gradient=parameters.split(self.gradient, part)[0])


def gradient_covariance(
    loss: Callable[..., Any],
    params: PyTree,
    batches: PyTree,
    *,
    centered: bool = True,
    part: PyTree | None = None,
    mesh: Mesh | None = None,
    keep: Keep = False,
    key: RandomKey | None = None,
    precision: Precision = "highest",
) -> Operator:
    r"""Return the covariance of a loss's gradients over the examples.

    $$C = \frac1n \sum_i (g_i - \bar g)(g_i - \bar g)^\top, \qquad g_i = \nabla_w \ell_i(w), \quad
    \bar g = \frac1n \sum_i g_i$$

    The gradients of single examples are not formed: a product takes the derivative of all losses along the
    vector, and one reverse pass.

    Args:
        loss: The function `loss(params, batch) -> (examples,)` with the loss of each example; one that draws
            takes a random key as its third argument. Keep it from call to call, as programs are compiled for
            it.
        params: The parameters $w$, a pytree of real floating-point arrays.
        batches: A pytree of arrays with leading axes (batches, examples), or a list of batches of any size.
        centered: Whether the mean gradient is subtracted; without, it is the second moment.
        part: The parameters that vary, as a pytree of truth values like `params` or the upper part of one;
            by default all. The vectors have `None` in place of the others.
        mesh: The devices among which the batches are divided; by default one device has them all.
        keep: Whether to linearize once and keep what all products have in common, which grows with the number
            of examples; or the largest number of bytes that may be kept, beyond which products are computed
            anew.
        key: The random key of a loss that draws; each batch draws by a key of its own, the same in every
            product.
        precision: The precision of matrix products for which the loss names none.

    Returns:
        The operator, positive semidefinite.

    Raises:
        TypeError: If parameters are not real floating-point arrays, the loss gives no floating-point numbers,
            or a key is missing or not taken.
        ValueError: If the loss does not give a finite number for each example, the batches are of unequal
            structure, or `part` does not fit.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature
        >>> distance = lambda params, batch: (batch - params) ** 2 / 2
        >>> curvature.gradient_covariance(distance, jnp.zeros(()), [jnp.array([1.0, 3.0])]).matvec(1.0)
        Array(1., dtype=float32)

    References:
        Stanislaw Jastrzebski et al., "Three factors influencing minima in SGD", 2017.
    """
    centered = checks.flag("centered", centered)
    varied, fixed = parameters.split(params, part)
    operator = GradientCovariance(
        params=varied,
        fixed=fixed,
        batches=take(batches, mesh),
        key=losses.checked_key("loss", loss, ("params", "batch"), key),
        gradient=None,
        loss=loss,
        precision=precision,
    )
    one = operator.batches.first()
    examples = jax.tree.leaves(one.data)[0].shape[0]
    value = jax.eval_shape(operator.losses, one, varied)
    losses.shaped("loss", value, (examples,), f"one number for each of the {examples} examples")
    if centered:
        operator = dataclasses.replace(operator, gradient=_mean_gradient(operator))
    return means.made(operator, "loss", keep)


@jax.jit
def _mean_gradient(operator: GradientCovariance) -> PyTree:
    """The gradient of the mean loss."""

    def of_batch(one: Batch, shared: GradientCovariance) -> PyTree:
        return jax.grad(lambda params: jnp.mean(shared.losses(one, params)))(shared.params)

    with means.precise(operator.precision):
        return operator.batches.mean(of_batch, operator.params, operator.without_batches())


def _inner(one: PyTree, other: PyTree) -> Float[Array, ""]:
    """The inner product of two vectors."""
    products = jax.tree.map(lambda a, b: jnp.vdot(a, b, precision="highest"), one, other)
    return sum(jax.tree.leaves(products))
