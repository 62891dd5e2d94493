r"""Boosting by filtering: three networks, of which the first chooses what the second learns from, and so on.

Conventions: a network is a pytree, made by the caller's `train(features, labels, key)`, and the caller's
`logits(network, features)` gives its outputs, `(n, classes)`. Examples come from the caller's `draw(key)`, a
batch at a time, as many as are asked for: fresh ones, or distortions of a training set.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array
from jaxtheory.core.records import record
from jaxtheory.core.types import AnyArray, RandomKey
from jaxtheory.statistics import labeled

Filter = Callable[[np.ndarray, np.ndarray], list[np.ndarray]]
"""What passes: from features and labels to masks, one for each kind of example."""


@record
class BoostedNetworks:
    """Three networks, and how many examples passed their filters."""

    networks: tuple[Any, ...]
    """The networks, as `train` returned them."""
    examples: Int[Array, " networks"]
    """The number of examples that each was trained on."""
    drawn: Int[Array, " networks"]
    """The number of examples that were drawn for each."""


def fit(
    draw: Callable[[RandomKey], tuple[Any, Any]],
    train: Callable[[Any, Any, RandomKey], Any],
    logits: Callable[[Any, Any], Any],
    key: RandomKey,
    *,
    examples: int,
    max_batches: int = 1000,
) -> BoostedNetworks:
    r"""Train three networks: on examples as they come, on what the first finds hard, on what is in dispute.

    The first network learns from `examples` examples as they are drawn. Of those drawn next, the second
    learns from as many that the first gets wrong as it gets right, half each. Of those drawn last, the third
    learns from those on which the first and the second disagree. If each errs with probability $\epsilon$ on
    what it learned from, the majority of the three errs with $3 \epsilon^2 - 2 \epsilon^3$ at most, for two
    classes.

    Args:
        draw: A function from a random key to a batch of examples, `(features, labels)`.
        train: A function from features, labels and a random key to a trained network. It is called once with
            each of the three training sets.
        logits: A function from a network and features to outputs `(n, classes)`, of which the largest is the
            network's answer.
        key: The random key.
        examples: The number of examples for each network, at least 2.
        max_batches: The largest number of batches that are drawn for each network, at least 1. A network
            whose filter let too few pass by then is trained on these, the second still half and half.

    Returns:
        The networks, and the numbers of examples that they were trained on and that were drawn.

    Raises:
        TypeError: If a number is not whole, `key` is not a random key, or labels are not whole numbers.
        ValueError: If a number is out of range, the shapes of a batch or of the outputs do not match, or no
            example passes a filter.

    Example:
        >>> import jax, numpy as np
        >>> from jaxtheory.statistics import boosting
        >>> def draw(key):
        ...     x = np.asarray(jax.random.uniform(key, (100, 1), minval=-1.0))
        ...     return x, (abs(x[:, 0]) < 0.5).astype(int)  # an interval: no threshold tells it apart
        >>> def train(x, labels, key):  # the best threshold, and the side of the ones
        ...     x, sides = np.asarray(x), np.array([1.0, -1.0])
        ...     wrong = (sides[:, None, None] * (x - x.T) > 0) != np.asarray(labels)[:, None]
        ...     side, place = np.unravel_index(wrong.sum(1).argmin(), wrong.sum(1).shape)
        ...     return sides[side], x[place, 0]
        >>> def logits(network, x):
        ...     return network[0] * np.sign(x - network[1]) * [-1.0, 1.0]
        >>> boosted = boosting.fit(draw, train, logits, jax.random.key(0), examples=200)
        >>> x, labels = draw(jax.random.key(1))
        >>> voted = np.argmax(boosting.outputs(boosted, logits, x), axis=-1)
        >>> alone = np.argmax(logits(boosted.networks[0], x), axis=-1)
        >>> bool(np.mean(voted != labels) < np.mean(alone != labels))
        True

    References:
        Robert Schapire, "The strength of weak learnability", 1990.
        Harris Drucker, Robert Schapire and Patrice Simard, "Boosting performance in neural networks", 1993.
    """
    checks.random_key("key", key)
    examples = checks.count("examples", examples, least=2)
    max_batches = checks.count("max_batches", max_batches)

    def answers(network: Any, features: np.ndarray) -> np.ndarray:
        return np.asarray(jnp.argmax(_outputs(logits, network, features), axis=-1))

    def everything(_: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
        return [np.ones(len(labels), bool)]

    def wrong_or_right(features: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
        wrong = answers(networks[0], features) != labels
        return [wrong, ~wrong]

    def disputed(features: np.ndarray, _: np.ndarray) -> list[np.ndarray]:
        return [answers(networks[0], features) != answers(networks[1], features)]

    networks, taken, drawn = [], [], []
    for number, masks in enumerate((everything, wrong_or_right, disputed)):
        drawing, training = jax.random.split(jax.random.fold_in(key, number))
        kinds, seen = _filtered(draw, masks, drawing, examples, max_batches)
        least = min(len(labels) for _, labels in kinds)
        if least == 0:
            raise ValueError(_nothing_passed(number, len(kinds[0][1]), seen))
        features, labels = (np.concatenate([part[:least] for part in parts]) for parts in zip(*kinds))
        networks.append(train(jnp.asarray(features), jnp.asarray(labels), training))
        taken.append(len(labels))
        drawn.append(seen)
    return BoostedNetworks(tuple(networks), jnp.asarray(taken), jnp.asarray(drawn))


def _filtered(
    draw: Callable[[RandomKey], tuple[Any, Any]],
    masks: Filter,
    key: RandomKey,
    examples: int,
    max_batches: int,
) -> tuple[list[tuple[np.ndarray, np.ndarray]], int]:
    """Equally many examples of each kind that a filter lets pass, and how many were drawn for them."""
    batches, seen = [], 0
    limit, counts = examples, 0
    for number in range(max_batches):
        features, labels = _batch(draw(jax.random.fold_in(key, number)))
        passed = masks(features, labels)
        limit = examples // len(passed)
        batches.append([(features[mask], labels[mask]) for mask in passed])
        seen += len(labels)
        counts = counts + np.array([mask.sum() for mask in passed])
        if counts.min() >= limit:
            break
    kinds = [tuple(np.concatenate(each)[:limit] for each in zip(*kind)) for kind in zip(*batches)]
    return kinds, seen


def _batch(found: Any) -> tuple[np.ndarray, np.ndarray]:
    """A batch as NumPy's arrays: how many pass a filter is known only once it is computed."""
    features, labels = found
    features, labels = np.asarray(as_array("features", features)), np.asarray(labeled.whole_labels(labels))
    checks.axes("labels", labels, "n", sizes=features.shape[:1])
    if len(labels) == 0:
        raise ValueError(f"features has the shape {features.shape}: take at least one example from draw")
    return features, labels


def _nothing_passed(number: int, wrong: int, seen: int) -> str:
    if number == 2:
        return (
            f"the first two networks disagree on none of {seen} examples: take weaker ones, or more batches"
        )
    word = "right" if wrong else "wrong"
    return (
        f"the first network gets none of {seen} examples {word}: take one that errs at times, or more batches"
    )


def _outputs(logits: Callable[[Any, Any], Any], network: Any, features: Any) -> Array:
    found = jnp.asarray(logits(network, features))
    if found.ndim != 2 or len(found) != len(features):
        raise ValueError(
            f"logits returned the shape {found.shape}: take (n, classes) for the {len(features)} examples"
        )
    return found


def outputs(
    boosted: BoostedNetworks, logits: Callable[[Any, Any], Any], queries: Real[AnyArray, "n ..."]
) -> Float[Array, "n classes"]:
    """Return the sum of the outputs of three networks, whose largest entry is their common answer.

    Args:
        boosted: The networks, from `fit`.
        logits: The function from a network and features to outputs `(n, classes)`, as in `fit`.
        queries: The examples, as many as `logits` takes at once.

    Returns:
        The sums, one for each class.

    Raises:
        ValueError: If `logits` returns another number of rows.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.statistics import boosting
        >>> three = boosting.BoostedNetworks((1.0, 2.0, 3.0), jnp.zeros(3, int), jnp.zeros(3, int))
        >>> boosting.outputs(three, lambda network, x: network * x, jnp.array([[1.0, -1.0]])).tolist()
        [[6.0, -6.0]]

    References:
        Harris Drucker, Robert Schapire and Patrice Simard, "Boosting performance in neural networks", 1993.
    """
    return sum(_outputs(logits, network, queries) for network in boosted.networks)
