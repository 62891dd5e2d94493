r"""A linear classifier that is the same for every representation: softmax regression on scaled features.

How features are scaled, and the penalty, are chosen by the errors on training examples that are held out;
the classifier is then fitted to all of them. So representations of very different kinds can be compared.

Conventions: training examples are rows of `features` with `labels` from 0 to `classes` - 1.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RealScalar
from jaxtheory.statistics import labeled, softmax

SCALINGS = ("together", "each", "roots")
"""How features may be scaled: all by one number, each by its deviation, or each so after a square root."""

FAINT = 0.05
"""The smallest deviation that a feature is divided by, as a share of the largest one."""


@record
class LinearProbe:
    """Softmax regression on scaled features, and what was chosen for it."""

    model: softmax.SoftmaxModel
    """The regression on scaled features."""
    center: Float[Array, " features"]
    """The mean of each feature, after the square root if there is one."""
    scale: Float[Array, " features"]
    """The number that each feature is divided by."""
    scaling: Int[Array, ""]
    """The scaling that was chosen, as an index of `SCALINGS`."""
    penalty: Float[Array, ""]
    """The penalty that was chosen."""
    error: Float[Array, ""]
    """The share of the held-out examples that are misclassified with this choice."""


def fit(
    features: Real[AnyArray, "n features"],
    labels: Int[AnyArray, " n"],
    *,
    classes: int,
    penalties: Real[AnyArray, " penalties"] | tuple[float, ...] = (1e-3, 3e-3, 1e-2, 3e-2),
    parts: int = 4,
    tolerance: RealScalar = 1e-3,
    max_steps: int = 300,
) -> LinearProbe:
    """Fit softmax regression, with the scaling of features and the penalty that do best on held-out examples.

    Every `parts`-th example is held out while each scaling is tried with each penalty; of equally good
    choices the first is taken.

    Args:
        features: The training examples, one per row, in an order that has nothing to do with their labels.
        labels: The class of each example. A class without examples is never predicted.
        classes: The number of classes, at least 1.
        penalties: The penalties to choose from, at least 0.
        parts: The number of parts into which the examples are split, one of which is held out; at least 2.
        tolerance: The largest entry of the gradient at which a fit stops, at least 0.
        max_steps: The largest number of steps of a fit, at least 1.

    Returns:
        The classifier, fitted to all examples.

    Raises:
        TypeError: If an argument is complex or the labels are not whole numbers.
        ValueError: If shapes do not match, a number is out of range, there are fewer examples than parts, or
            labels (where their values are known) are out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import linear_probe
        >>> x, labels = jnp.array([[-2.0], [2.0], [-1.0], [1.0]]), jnp.array([0, 1, 0, 1])
        >>> probe = linear_probe.fit(x, labels, classes=2, parts=2)
        >>> linear_probe.predict(probe, x).tolist()
        [0, 1, 0, 1]

    References:
        Guillaume Alain and Yoshua Bengio, "Understanding intermediate layers using linear classifier probes",
        2016.
    """
    checks.nonnegative("tolerance", tolerance, one=True)
    (features,), back = real_arrays(features=features)
    numbers, _ = real_arrays(penalties=penalties, tolerance=tolerance)
    penalties, tolerance = (one.astype(features.dtype) for one in numbers)
    labels = labeled.whole_labels(labels)
    labeled.check_examples(features, labels, classes)
    checks.axes("penalties", penalties, "penalties")
    if not penalties.size:
        raise ValueError("penalties is empty: take at least one number of 0 or more")
    checks.nonnegative("penalties", penalties)
    parts = checks.count("parts", parts, least=2, most=len(features))
    max_steps = checks.count("max_steps", max_steps)
    options = {"classes": checks.count("classes", classes), "parts": parts, "max_steps": max_steps}
    return back(_fit(features, jnp.asarray(labels), penalties, tolerance, **options))


@partial(jax.jit, static_argnames=("classes", "parts", "max_steps"))
def _fit(
    features: Array,
    labels: Array,
    penalties: Array,
    tolerance: Array,
    *,
    classes: int,
    parts: int,
    max_steps: int,
) -> LinearProbe:
    held = np.arange(len(features)) % parts == 0
    centers, scales = (jnp.stack(each) for each in zip(*(_scaling(features, one) for one in SCALINGS)))

    def fitted(choice: Array, where: np.ndarray | None = None) -> tuple[softmax.SoftmaxModel, Array]:
        scaling, penalty = choice // len(penalties), penalties[choice % len(penalties)]
        scaled = _scaled(features, scaling, centers[scaling], scales[scaling])
        options = {"classes": classes, "tolerance": tolerance, "max_steps": max_steps, "where": where}
        return softmax.fit(scaled, labels, penalty=penalty, **options), scaled

    def error(choice: Array) -> Array:
        model, scaled = fitted(choice, ~held)
        return jnp.mean(softmax.predict(model, scaled[held]) != labels[held], dtype=features.dtype)

    errors = lax.map(error, jnp.arange(len(SCALINGS) * len(penalties)))
    best = jnp.argmin(errors)
    model, _ = fitted(best)
    scaling, penalty = best // len(penalties), penalties[best % len(penalties)]
    return LinearProbe(model, centers[scaling], scales[scaling], scaling, penalty, errors[best])


def _scaling(features: Array, name: str) -> tuple[Array, Array]:
    """The center of each feature, and what it is divided by."""
    features = _root(features) if name == "roots" else features
    center = jnp.mean(features, axis=0)
    variance = jnp.mean((features - center) ** 2, axis=0)
    if name == "together":
        scale = jnp.full_like(center, jnp.sqrt(jnp.mean(variance)))
    else:
        scale = jnp.maximum(jnp.sqrt(variance), FAINT * jnp.sqrt(jnp.max(variance)))
    # Features that are all constant are zero once they are centered.
    return center, jnp.where(scale > 0, scale, 1)


def _root(x: Array) -> Array:
    return jnp.sign(x) * jnp.sqrt(jnp.abs(x))


def _scaled(x: Array, scaling: Array, center: Array, scale: Array) -> Array:
    return (jnp.where(scaling == SCALINGS.index("roots"), _root(x), x) - center) / scale


def predict(probe: LinearProbe, queries: Real[AnyArray, "... features"]) -> Int[Array, "..."]:
    """Return the class that a linear classifier on scaled features gives.

    Args:
        probe: The classifier, from `fit`.
        queries: The examples to classify.

    Returns:
        The classes, from 0.

    Raises:
        TypeError: If the queries are complex or not an array of numbers.
        ValueError: If the queries have another number of features than the classifier.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import linear_probe
        >>> x, labels = jnp.array([[-2.0], [2.0], [-1.0], [1.0]]), jnp.array([0, 1, 0, 1])
        >>> probe = linear_probe.fit(x, labels, classes=2, parts=2)
        >>> int(linear_probe.predict(probe, jnp.array([5.0])))
        1
    """
    (queries, center, scale), _ = real_arrays(queries=queries, center=probe.center, scale=probe.scale)
    checks.axes("queries", queries, "...", "features", sizes=center.shape)
    return softmax.predict(probe.model, _scaled(queries, probe.scaling, center, scale))
