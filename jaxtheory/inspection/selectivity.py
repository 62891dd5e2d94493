r"""What filters and units answer to: the tuning of their responses to gratings, and to classes.

`tuning` shows gratings that drift to any `features(params, x)` and reads each unit's preferred orientation
and frequency, how sharp these are, and how far the unit tells a grating's phase: the measures of physiology,
of which `modulation` and `circular_variance` are also functions of responses that are at hand. Gabor
functions are fitted to filters by `harmonic.gabor_fit`, with the same conventions.

Conventions: frequencies are in cycles per pixel; angles are directions of the wave from the axis of width to
that of height, in radians from 0 to pi. A grating is $\cos(2 \pi f u - \phi)$ with $u$ the distance from the
middle of the image along the wave; its phase goes once around as it drifts.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int, PyTree, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.records import record
from jaxtheory.core.roots import root
from jaxtheory.core.trees import check_numbers
from jaxtheory.core.types import AnyArray, Labels, Reals, RealScalar
from jaxtheory.statistics import labeled

Baseline = Literal["blank", "zero"]


@record
class TuningResult:
    """How units respond to gratings, and what they prefer."""

    responses: Float[Array, "frequencies angles *units"]
    """The response to each grating: of the mean above the baseline and of the first harmonic of the drift,
    the one that is larger at the unit's best grating."""
    frequency: Float[Array, "*units"]
    """The frequency of the best grating, in cycles per pixel."""
    angle: Float[Array, "*units"]
    """The mean direction of the responses at this frequency, from 0 to pi."""
    circular_variance: Float[Array, "*units"]
    """The circular variance of the responses at this frequency, from 0 for one direction to 1 for all."""
    angle_width: Float[Array, "*units"]
    """Half the range of directions in which the response is at least half its largest, in radians; pi / 2 for
    a unit whose response does not fall to a half on both sides."""
    octaves: Float[Array, "*units"]
    """The range of frequencies in which it is, in octaves; infinite for a unit whose response does not fall
    to a half on both sides, within the frequencies shown."""
    modulation: Float[Array, "*units"]
    """The first harmonic over the mean, at the best grating: 0 for a unit that tells no phase."""


@record
class ClassSelectivityResult:
    """How far units prefer one class to the others."""

    index: Float[Array, "*units"]
    """The index of each unit, from 0 to 1 where no response is negative."""
    preferred: Int[Array, "*units"]
    """The class of the largest mean response."""
    means: Float[Array, "classes ..."]
    """The mean response to each class."""


def gratings(
    frequencies: Real[AnyArray, " frequencies"], *, shape: tuple[int, int], angles: int = 16, phases: int = 8
) -> Float[Array, "frequencies angles phases H W"]:
    r"""Return drifting gratings $\cos(2 \pi f u - \phi)$ of each frequency, direction and phase.

    $u = x \cos\theta + y \sin\theta$ from the middle of the image; directions are $\pi k / K$, phases
    $2 \pi k / P$.

    Args:
        frequencies: The frequencies, in cycles per pixel; beyond 1/2 the pixels show another one.
        shape: The height and width of the images.
        angles: The number of directions, at least 1.
        phases: The number of phases, at least 1.

    Returns:
        The gratings, from -1 to 1.

    Raises:
        TypeError: If the frequencies are complex or not an array of numbers, or a number is not a whole one.
        ValueError: If a shape is another, or a number is below 1.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import selectivity
        >>> selectivity.gratings(jnp.array([0.25]), shape=(1, 5), angles=1, phases=1)[0, 0, 0].round(3) + 0.0
        Array([[-1.,  0.,  1.,  0., -1.]], dtype=float32)
    """
    (frequencies,), back = real_arrays(frequencies=frequencies)
    checks.axes("frequencies", frequencies, "frequencies")
    shape = checks.sizes("shape", shape, ("H", "W"))
    angles, phases = checks.count("angles", angles), checks.count("phases", phases)
    return back(_gratings(frequencies, shape, angles, phases))


@partial(jax.jit, static_argnums=(1, 2, 3))
def _gratings(frequencies: Array, shape: tuple[int, int], angles: int, phases: int) -> Array:
    dtype = frequencies.dtype
    theta, phase = (np.arange(n) * turn / n for n, turn in ((angles, math.pi), (phases, 2 * math.pi)))
    down, right = (np.arange(size) - (size - 1) / 2 for size in shape)
    along = np.cos(theta)[:, None, None] * right + np.sin(theta)[:, None, None] * down[:, None]
    turned = 2 * jnp.pi * frequencies[:, None, None, None] * jnp.asarray(along, dtype)
    return jnp.cos(turned[:, :, None] - jnp.asarray(phase, dtype)[:, None, None])


def modulation(responses: Real[AnyArray, "... phases"]) -> Float[Array, "..."]:
    r"""Return the relative modulation $F_1 / F_0$ of responses to a grating as it drifts.

    $F_0 = \frac1P \sum_k r_k$ is the mean and $F_1 = \frac2P \left| \sum_k r_k e^{-2 \pi i k / P} \right|$
    the amplitude of the first harmonic. It is 0 for an energy of two filters in quadrature, $\pi / 2$ for a
    linear filter that is rectified at zero, and at most 2 for responses that are not negative. Cells above 1
    are called simple, those below complex.

    Args:
        responses: The responses to the phases of one period, at equal distances, at least 3; subtract first
            what a unit responds to nothing.

    Returns:
        The ratio, of the sign of the mean; infinite where the mean is zero and the first harmonic is not,
        and 0 for responses that are zero.

    Raises:
        TypeError: If the responses are complex or not an array of numbers.
        ValueError: If there are fewer than 3 phases.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import selectivity
        >>> wave = jnp.cos(2 * jnp.pi * jnp.arange(32) / 32)
        >>> [f"{selectivity.modulation(one):.2f}" for one in (jnp.maximum(wave, 0), 1 + wave)]
        ['1.58', '1.00']

    References:
        Bernt Skottun, Russell De Valois, David Grosof, Anthony Movshon, Duane Albrecht and A. B. Bonds,
        "Classifying simple and complex cells on the basis of response modulation", 1991.
    """
    (responses,), back = real_arrays(responses=responses)
    checks.axes("responses", responses, "...", "phases")
    if responses.shape[-1] < 3:
        raise ValueError(f"responses has {responses.shape[-1]} phases: take at least 3")
    return back(_modulation(responses))


@jax.jit
def _modulation(responses: Array) -> Array:
    return _ratio(*_harmonics(responses))


def _harmonics(responses: Array) -> tuple[Array, Array]:
    """The mean over phases, the last axis, and the amplitude of the first harmonic."""
    phase = 2 * math.pi * np.arange(responses.shape[-1]) / responses.shape[-1]
    real, imaginary = (
        2 * jnp.mean(responses * jnp.asarray(wave, responses.dtype), -1)
        for wave in (np.cos(phase), np.sin(phase))
    )
    return jnp.mean(responses, -1), root(real**2 + imaginary**2)


def _ratio(mean: Array, first: Array) -> Array:
    defined = mean != 0
    return jnp.where(defined, first / jnp.where(defined, mean, 1), jnp.where(first > 0, jnp.inf, 0))


def circular_variance(responses: Real[AnyArray, "... angles"]) -> Float[Array, "..."]:
    r"""Return the circular variance of responses to directions.

    $1 - \left| \sum_k r_k e^{2 i \theta_k} \right| / \sum_k r_k$ with directions $\theta_k = \pi k / K$ at
    equal distances. Responses below zero count as zero.

    Args:
        responses: The responses to each direction, at least 3.

    Returns:
        The variance, from 0 for responses to one direction to 1 for equal ones; 1 for no response.

    Raises:
        TypeError: If the responses are complex or not an array of numbers.
        ValueError: If there are fewer than 3 directions.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import selectivity
        >>> print(f"{selectivity.circular_variance(jnp.array([0.0, 3.0, 0.0, 1.0])):.2f}")
        0.50

    References:
        Dario Ringach, Robert Shapley and Michael Hawken, "Orientation selectivity in macaque V1: diversity
        and laminar dependence", 2002.
    """
    (responses,), back = real_arrays(responses=responses)
    checks.axes("responses", responses, "...", "angles")
    if responses.shape[-1] < 3:
        raise ValueError(f"responses has {responses.shape[-1]} directions: take at least 3")
    return back(_circular_variance(responses))


@jax.jit
def _circular_variance(responses: Array) -> Array:
    return 1 - root(sum(part**2 for part in _resultant(responses)))


def _resultant(responses: Array) -> tuple[Array, Array]:
    """The mean of the doubled directions, the last axis, with the responses as weights."""
    weights = jnp.maximum(responses, 0)
    total = jnp.sum(weights, -1)
    weights = weights / jnp.where(total > 0, total, 1)[..., None]
    doubled = 2 * math.pi * np.arange(responses.shape[-1]) / responses.shape[-1]
    cosine, sine = (jnp.asarray(wave(doubled), responses.dtype) for wave in (np.cos, np.sin))
    return jnp.sum(weights * cosine, -1), jnp.sum(weights * sine, -1)


def tuning(
    features: Callable[[PyTree, Array], Any],
    params: PyTree,
    frequencies: Real[AnyArray, " frequencies"],
    *,
    shape: tuple[int, ...],
    angles: int = 16,
    phases: int = 8,
    contrast: RealScalar = 1.0,
    mean: Reals = 0.0,
    baseline: Baseline = "blank",
) -> TuningResult:
    r"""Measure the tuning of units to the orientation, frequency and phase of gratings.

    The units see $\text{mean} + \text{contrast} \cdot \cos(2 \pi f u - \phi)$. A unit's best grating is the
    one of its largest response. Half heights are interpolated linearly between neighboring gratings. Widths
    and preferred frequencies are as fine as the gratings: take many near the frequencies of interest.

    Args:
        features: The function `features(params, x)` of images `(n, *shape)`, whose value has a leading axis
            of n; the rest are the units.
        params: The parameters of the function.
        frequencies: The frequencies in rising order, in cycles per pixel, positive.
        shape: The shape of an image, `(H, W)`, or `(H, W, C)` with equal channels.
        angles: The number of directions, at least 3.
        phases: The number of phases, at least 3.
        contrast: The amplitude of the gratings.
        mean: The image around which they oscillate, as one number or of a shape that broadcasts to `shape`.
        baseline: What is subtracted from the mean over phases: with `"blank"` the response to `mean` itself,
            with `"zero"` nothing.

    Returns:
        The responses, and the measures of each unit. A unit without responses has the first frequency, the
        angle 0, the circular variance 1, the widths of a unit without preference, and the modulation 0.

    Raises:
        TypeError: If an argument is complex or not an array of numbers, or a number is not a whole one.
        ValueError: If a shape is another, a number is out of range, the frequencies do not rise, or the
            function returns anything other than one array of real numbers with a leading axis of n.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.inspection import selectivity
        >>> y, x = np.mgrid[:25, :25] - 12.0
        >>> filters = np.float32(np.exp(-(x**2 + y**2) / 32) * np.cos(2 * np.pi * 0.2 * y))
        >>> def simple(filters, x):
        ...     return abs((x * filters).sum((-2, -1)))
        >>> found = selectivity.tuning(simple, filters, np.arange(1, 9) / 20, shape=(25, 25))
        >>> print(f"{found.frequency:.2f} {found.angle:.2f}")
        0.20 1.57

    References:
        Russell De Valois, Duane Albrecht and Lisa Thorell, "Spatial frequency selectivity of cells in macaque
        visual cortex", 1982.
        Bernt Skottun, Russell De Valois, David Grosof, Anthony Movshon, Duane Albrecht and A. B. Bonds,
        "Classifying simple and complex cells on the basis of response modulation", 1991.
    """
    check_numbers("params", params)
    (frequencies, contrast, mean), back = real_arrays(frequencies=frequencies, contrast=contrast, mean=mean)
    checks.axes("frequencies", frequencies, "frequencies")
    checks.positive("frequencies", frequencies)
    if checks.known(frequencies) and np.any(np.diff(frequencies) <= 0):
        raise ValueError("frequencies do not rise: take them in rising order, each once")
    if not frequencies.size:
        raise ValueError("frequencies is empty: take at least one frequency")
    shape = checks.sizes("shape", shape, ("H", "W"), ("H", "W", "C"))
    checks.axes("contrast", contrast)
    if mean.ndim > len(shape) or any(n not in (1, m) for n, m in zip(mean.shape[::-1], shape[::-1])):
        raise ValueError(f"mean has the shape {mean.shape}: take one number, or an image {shape}")
    checks.one_of("baseline", baseline, ("blank", "zero"))
    angles, phases = (checks.count(*one, least=3) for one in (("angles", angles), ("phases", phases)))
    found = _tuning(features, params, frequencies, contrast, mean, shape, angles, phases, baseline)
    return back(found)


@partial(jax.jit, static_argnames=("features", "shape", "angles", "phases", "baseline"))
def _tuning(
    features: Callable[..., Any],
    params: PyTree,
    frequencies: Array,
    contrast: Array,
    mean: Array,
    shape: tuple[int, ...],
    angles: int,
    phases: int,
    baseline: Baseline,
) -> TuningResult:
    def responses(frequency: Array) -> tuple[Array, Array]:
        waves = _gratings(frequency[None], shape[:2], angles, phases)[0]
        waves = waves.reshape(angles, phases, *shape[:2], *(1,) * (len(shape) - 2))
        seen = mean + contrast * jnp.broadcast_to(waves, (angles, phases, *shape))
        found = _answers(features, params, seen.reshape(-1, *shape))
        return _harmonics(jnp.moveaxis(found.reshape(angles, phases, *found.shape[1:]), 1, -1))

    means, firsts = lax.map(responses, frequencies)
    if baseline == "blank":
        means = means - _answers(features, params, jnp.broadcast_to(mean, (1, *shape)))[0]
    units = means.shape[2:]
    flat = [one.reshape(*one.shape[:2], -1) for one in (means, firsts)]
    found = jax.vmap(_measures, (2, 2, None), -1)(*flat, frequencies)
    return jax.tree.map(lambda leaf: leaf.reshape(*leaf.shape[:-1], *units), found)


def _answers(features: Callable[..., Any], params: PyTree, x: Array) -> Array:
    """What the units answer to images, known to be one array with a leading axis."""
    found = features(params, x)
    leaves = jax.tree.leaves(found)
    if len(leaves) != 1 or leaves[0] is not found:
        raise ValueError(
            f"features returns a structure of {len(leaves)} arrays: take a function that returns one array"
        )
    found = jnp.asarray(as_array("features(params, x)", found))
    if found.shape[:1] != x.shape[:1] or jnp.issubdtype(found.dtype, jnp.complexfloating):
        raise ValueError(
            f"features returns {found.dtype} of the shape {found.shape} for {len(x)} images: take a function "
            f"with real values of the shape ({len(x)}, ...)"
        )
    return found.astype(x.dtype)


def _measures(mean: Array, first: Array, frequencies: Array) -> TuningResult:
    """The measures of one unit from means and first harmonics, (frequencies, angles)."""
    responses = jnp.where(jnp.max(first) > jnp.max(mean), first, mean)
    row, column = jnp.unravel_index(jnp.argmax(responses), responses.shape)
    cosine, sine = _resultant(responses[row])
    # The best direction in the middle, and half a turn to either side of it.
    angles = responses.shape[1]
    turned = jnp.roll(responses[row], angles // 2 - column)
    turned = jnp.concatenate([turned, turned[:1]])
    steps = jnp.arange(angles + 1, dtype=responses.dtype) * (math.pi / angles)
    return TuningResult(
        responses=responses,
        frequency=frequencies[row],
        angle=jnp.arctan2(sine, cosine) / 2 % math.pi,
        circular_variance=1 - root(cosine**2 + sine**2),
        angle_width=jnp.minimum(_range(turned, steps, angles // 2) / 2, math.pi / 2),
        octaves=_range(responses[:, column], jnp.log2(frequencies), row),
        modulation=_ratio(mean[row, column], first[row, column]),
    )


def _range(responses: Array, places: Array, peak: Array | int) -> Array:
    """How far apart the places are at which responses fall to half their peak; infinite if one is missing."""
    last = len(responses) - 1
    return _fall(responses, places, peak) + _fall(responses[::-1], -places[::-1], last - peak)


def _fall(responses: Array, places: Array, peak: Array | int) -> Array:
    """How far beyond the peak responses first fall to its half."""
    half = responses[peak] / 2
    is_low = (jnp.arange(len(responses)) > peak) & (responses <= half) & (half > 0)
    after = jnp.argmax(is_low)
    before = after - 1
    share = (responses[before] - half) / jnp.where(is_low[after], responses[before] - responses[after], 1)
    place = places[before] + share * (places[after] - places[before])
    return jnp.where(is_low[after], place - places[peak], jnp.inf)


def class_selectivity(
    responses: Real[AnyArray, "n ..."], labels: Labels, *, classes: int
) -> ClassSelectivityResult:
    r"""Return how far units prefer one class: $(\mu_{\max} - \mu_{-\max}) / (\mu_{\max} + \mu_{-\max})$.

    $\mu_{\max}$ is the largest mean response to a class, and $\mu_{-\max}$ the mean over the other classes
    of theirs. It is 0 for a unit that answers to all classes alike, and 1 for one that answers to a single
    class. The responses of a map are averaged over its places first.

    Args:
        responses: The responses of the units to each example, not negative, as after a ReLU.
        labels: The class of each example, from 0 to `classes` - 1, of shape `(n,)`; each class has examples.
        classes: The number of classes, at least 2.

    Returns:
        The index of each unit, the class that it prefers, and its mean responses; the index of a unit that
        is silent is 0.

    Raises:
        TypeError: If the responses are complex or not an array of numbers, or the labels are not whole.
        ValueError: If shapes do not match, `classes` is below 2, or, where values are known, a response is
            negative, or a label is out of range, or a class has no example.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.inspection import selectivity
        >>> labels = jnp.array([0, 0, 1, 2])
        >>> responses = jnp.array([[3.0, 0.0], [3.0, 0.0], [1.0, 0.0], [1.0, 5.0]])
        >>> found = selectivity.class_selectivity(responses, labels, classes=3)
        >>> found.index.tolist(), found.preferred.tolist()
        ([0.5, 1.0], [0, 2])

    References:
        Ari Morcos, David Barrett, Neil Rabinowitz and Matthew Botvinick, "On the importance of single
        directions for generalization", 2018.
    """
    (responses,), back = real_arrays(responses=responses)
    if not responses.ndim or not len(responses):
        raise ValueError(f"responses has the shape {responses.shape}: take at least one example")
    checks.nonnegative("responses", responses)
    labels = labeled.whole_labels(labels)
    classes = checks.count("classes", classes, least=2)
    labeled.check_examples(responses.reshape(len(responses), -1), labels, classes)
    labeled.class_counts(labels, classes)
    return back(_class_selectivity(responses, jnp.asarray(labels), classes))


@partial(jax.jit, static_argnames="classes")
def _class_selectivity(responses: Array, labels: Array, classes: int) -> ClassSelectivityResult:
    members = jax.nn.one_hot(labels, classes, dtype=responses.dtype)
    shares = members / jnp.maximum(jnp.sum(members, 0), 1)
    means = jnp.tensordot(shares.T, responses, 1, precision="highest")
    best = jnp.max(means, 0)
    others = (jnp.sum(means, 0) - best) / (classes - 1)
    silent = best + others <= 0
    index = jnp.where(silent, 0, (best - others) / jnp.where(silent, 1, best + others))
    return ClassSelectivityResult(index, jnp.argmax(means, 0), means)
