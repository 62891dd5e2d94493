"""Labels and images from which what there is to learn was taken, in part or in whole."""

from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, RandomKey, RealScalar
from jaxtheory.statistics import labeled

KINDS = ("shuffled", "random", "gaussian")
"""What is left of images: one order of pixels for all, one for each, and Gaussian noise."""


def random_labels(
    labels: Int[AnyArray, " n"], key: RandomKey, *, classes: int, share: RealScalar = 1.0
) -> Int[Array, " n"]:
    """Replace labels by random ones, each with the same probability and independently of the others.

    Args:
        labels: The classes of the examples, from 0 to `classes` - 1.
        key: The random key.
        classes: The number of classes, at least 2, among which random labels are drawn alike.
        share: The probability that a label is replaced, from 0 to 1; a random label is the old one with
            probability 1 / `classes`. With the same key, what is replaced for one share is replaced, by the
            same label, for any larger one.

    Returns:
        The labels.

    Raises:
        TypeError: If the labels or `classes` are not whole numbers, or `key` is not a random key.
        ValueError: If there are fewer than two classes, or labels or the share (where they are known) are out
            of range.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.statistics import capacity
        >>> labels = jnp.arange(20_000) % 10
        >>> found = capacity.random_labels(labels, jax.random.key(0), classes=10, share=0.5)
        >>> bool(abs((found != labels).mean() - 0.5 * 9 / 10) < 0.02)
        True

    References:
        Chiyuan Zhang, Samy Bengio, Moritz Hardt, Benjamin Recht and Oriol Vinyals, "Understanding deep
        learning requires rethinking generalization", 2017.
    """
    labels = labeled.whole_labels(labels)
    checks.axes("labels", labels, "n")
    checks.random_key("key", key)
    classes = checks.count("classes", classes, least=2)
    labeled.check_examples(labels[:, None], labels, classes)
    (share,), _ = real_arrays(share=share)
    checks.within("share", share, 0, 1, one=True)
    labels = jnp.asarray(labels)
    of_choice, of_label = jax.random.split(key)
    # In 32 bits, so that labels of 64 have the same draws.
    drawn = jax.random.randint(of_label, labels.shape, 0, classes, jnp.int32).astype(labels.dtype)
    return jnp.where(jax.random.uniform(of_choice, labels.shape, jnp.float32) < share, drawn, labels)


def random_images(
    images: Real[AnyArray, "n ..."], key: RandomKey, *, kind: Literal["shuffled", "random", "gaussian"]
) -> Float[Array, "n ..."]:
    """Take from images the order of their pixels, or everything but their mean and variance.

    Args:
        images: The images, with at least one axis of pixels.
        key: The random key; the same key shuffles other images of as many pixels, as those of a test set,
            alike.
        kind: What is done to them: `"shuffled"` brings the pixels of all images into the same random order,
            `"random"` those of each image into one of its own, and `"gaussian"` replaces them by independent
            normal numbers with the mean and variance of all pixels of all images.

    Returns:
        Images of the same shape.

    Raises:
        TypeError: If the images are complex or not an array of numbers, or `key` is not a random key.
        ValueError: If the kind is unknown, or the images have no axis of pixels.

    Example:
        >>> import jax, jax.numpy as jnp
        >>> from jaxtheory.statistics import capacity
        >>> images = jnp.arange(8.0).reshape(2, 2, 2)
        >>> found = capacity.random_images(images, jax.random.key(0), kind="shuffled")
        >>> bool((found[1] == found[0] + 4).all()), float(found[0].sum())
        (True, 6.0)

    References:
        Chiyuan Zhang, Samy Bengio, Moritz Hardt, Benjamin Recht and Oriol Vinyals, "Understanding deep
        learning requires rethinking generalization", 2017.
    """
    (images,), back = real_arrays(images=images)
    checks.one_of("kind", kind, KINDS)
    checks.random_key("key", key)
    if images.ndim < 2:
        raise ValueError(f"images has the shape {images.shape}: take (n, ...), with an axis of pixels")
    pixels = images.reshape(len(images), -1)
    if kind == "gaussian":
        noise = jax.random.normal(key, pixels.shape, pixels.dtype)
        found = pixels.mean() + pixels.std() * noise
    else:
        found = jax.random.permutation(key, pixels, axis=1, independent=kind == "random")
    return back(found.reshape(images.shape))
