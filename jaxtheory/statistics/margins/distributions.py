"""Margins of examples, as they are and in units of a network's spectral complexity."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics import labeled
from jaxtheory.statistics.margins.bounds import spectral_complexity
from jaxtheory.statistics.margins.norms import LayerNorms, dense_norms

Logits = Callable[[PyTree, Array], AnyArray]


def raw(
    logits: Logits, params: PyTree, x: Real[AnyArray, "n ..."], y: Int[AnyArray, " n"]
) -> Float[Array, " n"]:
    r"""Return the margin of each example, $f(x)_y - \max_{j \ne y} f(x)_j$: positive where it is classified.

    Args:
        logits: The function `logits(params, x)` that returns one row of logits for each example.
        params: The parameters of the classifier.
        x: The examples.
        y: Their classes, from 0. Labels under `jit` are traced and cannot be checked; one that is out of
            range has a margin of NaN.

    Returns:
        The margins.

    Raises:
        TypeError: If the labels are not whole numbers, or the logits are complex.
        ValueError: If there is one class only, shapes do not fit, or labels (where their values are known)
            are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import margins
        >>> identity = lambda params, x: x
        >>> margins.raw(identity, None, jnp.array([[3.0, 1.0, 0.0], [3.0, 1.0, 0.0]]), jnp.array([0, 2]))
        Array([ 2., -3.], dtype=float32)
    """
    x = jnp.asarray(as_array("x", x))
    (outputs,), back = real_arrays(logits=logits(params, x))
    checks.axes("logits", outputs, "n", "classes", sizes=(*x.shape[:1], None))
    classes = outputs.shape[1]
    if classes < 2:
        raise ValueError(
            f"logits has the shape {outputs.shape}: take two classes or more, as a margin is between two"
        )
    labels = labeled.whole_labels(y)
    labeled.check_examples(outputs, labels, classes)
    own = jax.nn.one_hot(labels, classes, dtype=bool)
    others = jnp.max(jnp.where(own, -jnp.inf, outputs), axis=-1)
    found = jnp.sum(jnp.where(own, outputs, 0), axis=-1) - others
    return back(jnp.where(own.any(-1), found, jnp.nan))


def normalized(
    logits: Logits,
    params: PyTree,
    x: Real[AnyArray, "n ..."],
    y: Int[AnyArray, " n"],
    *,
    norms: LayerNorms | None = None,
    reference: PyTree | None = None,
    lipschitz: RealScalar = 1.0,
) -> Float[Array, " n"]:
    r"""Return the margins in units of what the network's weights can do on such data.

    $\frac{f(x)_y - \max_{j \ne y} f(x)_j}{R_A \|X\|_F / n}$, with the spectral complexity $R_A$ of the
    network and the Euclidean norm $\|X\|_F$ of all $n$ examples: what a network gains by larger weights
    alone cancels. The main term of the margin bound is the inverse of this, up to logarithms and constants.

    Args:
        logits: The function `logits(params, x)` that returns one row of logits for each example.
        params: The parameters of the classifier.
        x: The examples.
        y: Their classes, from 0.
        norms: The norms of the layers. `None` takes those of dense layers from `params`, by `dense_norms`;
            of any other layer, compute them by `spectral_norm` and `two_one_norm`.
        reference: The parameters from which (2,1) norms are measured, where `norms` are not given; `None`
            stands for zeros.
        lipschitz: The product of the Lipschitz constants of the nonlinearities, positive: 1 for ReLUs and for
            the largest values of blocks that do not overlap.

    Returns:
        The normalized margins.

    Raises:
        TypeError: If the labels are not whole numbers, or parameters are not real floating point.
        ValueError: If there is one class only, shapes do not fit, labels (where their values are known) are
            out of range, a layer is not dense, or `norms` and a reference are both given.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import margins
        >>> x, y = jnp.eye(2), jnp.array([0, 1])
        >>> linear = lambda params, x: x @ params
        >>> once, larger = (margins.normalized(linear, c * jnp.eye(2), x, y) for c in (1.0, 5.0))
        >>> once.round(3).tolist(), larger.round(3).tolist()
        ([0.707, 0.707], [0.707, 0.707])

    References:
        Peter Bartlett, Dylan Foster and Matus Telgarsky, "Spectrally-normalized margin bounds for neural
        networks", 2017.
    """
    if norms is not None and reference is not None:
        raise ValueError("reference is given beside norms: take one of them, as norms hold their reference")
    found = raw(logits, params, x, y)
    norms = dense_norms(params, reference=reference) if norms is None else norms
    (x,), _ = real_arrays(x=x)
    unit = spectral_complexity(norms, lipschitz=lipschitz) * jnp.linalg.norm(x) / x.shape[0]
    return (found / unit).astype(found.dtype)
