"""The Hessian of a loss, as products with vectors."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float, PyTree

from jaxtheory.core import checks, trees
from jaxtheory.core.records import record, static
from jaxtheory.core.types import Precision, RandomKey, RealScalar
from jaxtheory.landscape.curvature import losses, means, parameters
from jaxtheory.landscape.curvature.batches import Batch, Batches, take
from jaxtheory.landscape.curvature.kept import Keep
from jaxtheory.landscape.curvature.operators import Operator

METHODS = ("forward_over_reverse", "finite_differences")
"""How a product with the Hessian is computed."""


@record
class Hessian(means.Mean):
    """The Hessian of the mean of a loss over batches."""

    params: PyTree
    fixed: PyTree
    batches: Batches | None
    key: RandomKey | None
    step: RealScalar | None
    """The length of the step of finite differences."""
    loss: Callable[..., Any] = static()
    method: str = static()
    precision: Precision = static()

    def value(self, one: Batch) -> Any:
        """Return the loss of one batch."""
        return self._loss(one)(self.params)

    def on_batch(self, one: Batch, vector: PyTree) -> PyTree:
        """Multiply one vector by the Hessian of one batch."""
        gradient = jax.grad(self._loss(one))
        if self.method == "forward_over_reverse":
            return jax.jvp(gradient, (self.params,), (vector,))[1]
        step = self._length(vector)

        def moved(sign: int) -> PyTree:
            return gradient(
                jax.tree.map(lambda w, v: w + (sign * step).astype(w.dtype) * v, self.params, vector)
            )

        return jax.tree.map(
            lambda one, other: ((one - other) / (2 * step)).astype(one.dtype), moved(1), moved(-1)
        )

    def linearized(self, one: Batch) -> Callable[[PyTree], PyTree]:
        """Return the Hessian of one batch as a function of the vector, the rest of it computed."""
        if self.method == "finite_differences":
            return lambda vector: self.on_batch(one, vector)
        return jax.linearize(jax.grad(self._loss(one)), self.params)[1]

    def _loss(self, one: Batch) -> Callable[[PyTree], Float[Array, ""]]:
        return lambda params: self.loss(self.with_params(params), one.data, *losses.of_batch(self.key, one))

    def _length(self, vector: PyTree) -> Float[Array, ""]:
        """By how much of a vector the parameters are moved."""
        size = _norm(vector)
        step = jnp.finfo(size.dtype).eps ** (1 / 3) if self.step is None else self.step
        return jnp.asarray(step / jnp.where(size > 0, size, 1), size.dtype)


def hessian(
    loss: Callable[..., Any],
    params: PyTree,
    batches: PyTree,
    *,
    method: Literal["forward_over_reverse", "finite_differences"] = "forward_over_reverse",
    step: RealScalar | None = None,
    part: PyTree | None = None,
    mesh: Mesh | None = None,
    keep: Keep = False,
    key: RandomKey | None = None,
    precision: Precision = "highest",
) -> Operator:
    r"""Return the Hessian $\nabla^2 L(w)$ of a mean loss $L(w) = \sum_b \frac{n_b}{n} \ell(w, b)$.

    A product is computed batch after batch, by default anew in memory that does not grow with their number.
    Finite differences, $(\nabla L(w + h v) - \nabla L(w - h v)) / 2h$, take the memory of a gradient. With
    ReLUs they include the kinks that they step over, which the exact product leaves out.

    Args:
        loss: The function `loss(params, batch) -> scalar`, the mean over a batch; one that draws takes a
            random key as its third argument. Programs are compiled for it, so keep it from call to call.
        params: The parameters $w$, a pytree of real floating-point arrays.
        batches: A pytree of arrays with leading axes (batches, examples), or a list of batches of any size,
            each taken with its number of examples $n_b$.
        method: The way in which products are computed: forward over reverse mode, which is exact, or finite
            differences of gradients.
        step: The length $h \|v\|$ of a finite difference, in the units of the parameters; by default the
            third root of the dtype's rounding unit (0.005 in single precision), which suits units whose
            weights have a norm of about 1.
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
        The operator.

    Raises:
        TypeError: If parameters are not real floating-point arrays, the loss gives no floating-point number,
            or a key is missing or not taken.
        ValueError: If the loss is not a scalar or not finite, the batches are of unequal structure, `part`
            does not fit, or options do not go together.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.landscape import curvature
        >>> loss = lambda params, batch: jnp.mean((batch @ params) ** 2) / 2
        >>> operator = curvature.hessian(loss, jnp.zeros(2), [jnp.eye(2), 3 * jnp.eye(2)])
        >>> operator.matvec(jnp.array([1.0, 2.0]))
        Array([2.5, 5. ], dtype=float32)

    References:
        Barak A. Pearlmutter, "Fast exact multiplication by the Hessian", 1994.
    """
    checks.one_of("method", method, METHODS)
    differences = method == "finite_differences"
    if differences and keep is not False:
        raise ValueError("keep is of no use with finite differences, which keep nothing: take keep=False")
    if step is not None:
        checks.positive("step", step)
        if not differences:
            raise ValueError(f"step is {step}: take method='finite_differences' with it")
    varied, fixed = parameters.split(params, part)
    operator = Hessian(
        params=varied,
        fixed=fixed,
        batches=take(batches, mesh),
        key=losses.checked_key("loss", loss, ("params", "batch"), key),
        step=step,
        loss=loss,
        method=method,
        precision=precision,
    )
    losses.shaped("loss", means.value_shape(operator), (), "one number, as the mean over the batch")
    return means.made(operator, "loss", keep)


def _norm(tree: PyTree) -> Float[Array, ""]:
    """The Euclidean norm of a vector, in single precision at least."""
    return jnp.sqrt(trees.inner(tree, tree))
