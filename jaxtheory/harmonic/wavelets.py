"""Two-dimensional wavelets, as Fourier transforms on the grid of an image.

Conventions: frequencies run as in `numpy.fft.fftfreq`: entry `[k, l]` of a filter of shape `(H, W)` is its
transform at `(2 pi k / H, 2 pi l / W)` radians per pixel, along height and width. Angles are in radians from
the axis of height. A maker of filters takes `(shape, J, L)`; the wavelets that it makes have the scales 0 to
J - 1 and L angles on the half circle each, by scale and within a scale by angle.
"""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray, RealScalar

KYMATIO_PI = 3.1415
"""The value that Kymatio 0.3 uses for pi when it normalizes two-dimensional filters, which makes them 2.9e-5
too large.

The Morlet filters take the same constant, so that someone who switches from Kymatio gets the same numbers.
"""

TAIL = 8.5
"""The number of standard deviations after which a Gaussian is below the rounding of float64."""

PERIODS = 5
"""The number of periods over which a filter of traced parameters is summed."""

NEGLIGIBLE = 1e-6
"""What a filter may lose, relative to its largest value, when it is cut to a window of frequencies."""

Filter = Float[AnyArray, "H W"]
Window = tuple[tuple[int, int], tuple[tuple[int, int], ...]]
"""Where the wavelets of one scale live: numbers of tiles along height and width, and each wavelet's start.

Subsampling by 2^j folds a spectrum into tiles of (H / 2^j, W / 2^j). A window is a whole number of tiles that
starts anywhere (in grid steps, negative ones too): its folding is turned around by the start, which is a
modulation of the signal and does not change its modulus.
"""


@record
class Filters:
    """What a maker of filters makes: the Fourier transforms of a low-pass filter and of wavelets."""

    low_pass: Filter | tuple[Float[AnyArray, " H"], Float[AnyArray, " W"]]
    """The low-pass filter, in one piece or as its factors along height and width."""
    wavelets: Float[AnyArray, "n H W"]
    """The wavelets, real, by scale and within a scale by angle."""
    windows: tuple[Window, ...] | None = static(default=None)
    """Where the wavelets of each scale live; `None` where that is not known beforehand."""


def gabor_2d(
    frequency: RealScalar,
    width: RealScalar,
    angle: RealScalar,
    slant: RealScalar = 1.0,
    *,
    shape: tuple[int, int],
) -> Filter:
    r"""Return the Fourier transform of a plane wave under a Gaussian envelope.

    $\hat g(\omega) = \exp(-\frac{\sigma^2}{2} ((\omega - \xi e_\theta) \cdot e_\theta)^2
    - \frac{\sigma^2}{2 s^2} ((\omega - \xi e_\theta) \cdot e_\theta^\perp)^2)$, summed over the periods that
    sampling on the pixels makes of it: all that matter where the parameters are known, five along each axis
    where they are traced. Five are enough, to a millionth, for envelopes of at least half a pixel along and
    across the wave.

    Args:
        frequency: The wave's frequency $\xi$, in radians per pixel.
        width: The standard deviation $\sigma$ of the envelope along the wave, in pixels, positive.
        angle: The direction $\theta$ of the wave, in radians from the axis of height.
        slant: The envelope's width along the wave divided by its width across it, positive.
        shape: The height and width of the grid.

    Returns:
        The real transform: NumPy's, in float64, or JAX's where a parameter is an array.

    Raises:
        TypeError: If a parameter is complex or not a number.
        ValueError: If `width` or `slant` is not positive.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.harmonic import wavelets
        >>> lowest = wavelets.gabor_2d(0.0, 1.0, 0.0, shape=(8, 8))
        >>> bool(np.isclose(lowest[0, 0], np.pi / wavelets.KYMATIO_PI))
        True
    """
    values = {"frequency": frequency, "width": width, "angle": angle, "slant": slant}
    shape = checks.sizes("shape", shape, ("height", "width"))
    checks.positive("width", width, one=True)
    checks.positive("slant", slant, one=True)
    parameters, back = real_arrays(**values)
    if not any(isinstance(value, jax.Array) for value in values.values()):
        return _gabor(np, *map(float, values.values()), shape, None)
    periods = None
    if not all(checks.known(value) for value in values.values()):
        periods = PERIODS
    return back(_gabor(jnp, *parameters, shape, periods))


def _gabor(
    xp: Any, frequency: Any, width: Any, angle: Any, slant: Any, shape: tuple[int, int], periods: int | None
) -> Any:
    """The transform by NumPy's or JAX's functions, over a number of periods, or over all that matter."""
    along = (xp.cos(angle), xp.sin(angle))
    if periods is None:
        reach = _reach(frequency, width, angle, slant)
        steps = [
            np.arange(math.floor(low * size / (2 * np.pi)), math.ceil(high * size / (2 * np.pi)) + 1)
            for (low, high), size in zip(reach, shape)
        ]
    else:
        steps = [np.arange(periods * size) - periods * size // 2 for size in shape]
    height, breadth = (
        2 * np.pi * step / size - frequency * direction for step, size, direction in zip(steps, shape, along)
    )
    parallel = height[:, None] * along[0] + breadth[None, :] * along[1]
    across = breadth[None, :] * along[0] - height[:, None] * along[1]
    values = xp.exp(-(width**2) / 2 * (parallel**2 + (across / slant) ** 2)) * (np.pi / KYMATIO_PI)
    return _periodized(values, (int(steps[0][0]), int(steps[1][0])), shape, xp)


def _reach(frequency: Any, width: Any, angle: Any, slant: Any) -> list[tuple[float, float]]:
    """The frequencies along height and width between which a Gabor function is not negligible."""
    frequency, width, angle, slant = (float(value) for value in (frequency, width, angle, slant))
    along = (math.cos(angle), math.sin(angle))
    spread = (
        math.hypot(along[0] / width, along[1] * slant / width),
        math.hypot(along[1] / width, along[0] * slant / width),
    )
    return [
        (frequency * direction - TAIL * deviation, frequency * direction + TAIL * deviation)
        for direction, deviation in zip(along, spread)
    ]


def _periodized(values: Any, first: tuple[int, int], shape: tuple[int, int], xp: Any) -> Any:
    """Sums a spectrum that covers more than one period, its first entry at `first`, over the periods."""
    height, width = shape
    before = [start % size for start, size in zip(first, shape)]
    after = [-(lead + length) % size for lead, length, size in zip(before, values.shape, shape)]
    whole = xp.pad(values, list(zip(before, after)))
    return whole.reshape(-1, height, whole.shape[1] // width, width).sum(axis=(0, 2))


def morlet_2d(
    frequency: RealScalar,
    width: RealScalar,
    angle: RealScalar,
    slant: RealScalar = 1.0,
    *,
    shape: tuple[int, int],
) -> Filter:
    r"""Return the Fourier transform of a Morlet wavelet: a Gabor function made to have mean zero.

    $\hat\psi = \hat g_\xi - \frac{\hat g_\xi(0)}{\hat g_0(0)} \hat g_0$ with `gabor_2d`'s $\hat g$.

    Args:
        frequency: The central frequency $\xi$, in radians per pixel.
        width: The standard deviation $\sigma$ of the envelope along the wave, in pixels, positive; where it
            is traced, envelopes of less than half a pixel along or across are off by more than a millionth.
        angle: The direction $\theta$ of the wave, in radians from the axis of height.
        slant: The envelope's width along the wave divided by its width across it, positive.
        shape: The height and width of the grid.

    Returns:
        The real transform: NumPy's, in float64, or JAX's where a parameter is an array.

    Raises:
        TypeError: If a parameter is complex or not a number.
        ValueError: If `width` or `slant` is not positive.

    Example:
        >>> from jaxtheory.harmonic import wavelets
        >>> float(wavelets.morlet_2d(2.4, 0.8, 0.0, 0.5, shape=(16, 16))[0, 0])
        0.0

    References:
        Joan Bruna and Stéphane Mallat, "Invariant scattering convolution networks", 2013.
    """
    wave = gabor_2d(frequency, width, angle, slant, shape=shape)
    envelope = gabor_2d(0.0 * frequency, width, angle, slant, shape=shape)
    return wave - wave[0, 0] / envelope[0, 0] * envelope


def _gaussian_1d(size: int, width: Any) -> Any:
    """The Fourier transform of a Gaussian of unit mass, summed over the periods that sampling makes of it."""
    xp = jnp if isinstance(width, jax.Array) else np
    periods = 2 * np.pi * np.arange(-2, 3)[:, None]
    return xp.exp(-((width * (2 * np.pi * np.fft.fftfreq(size) + periods)) ** 2) / 2).sum(axis=0)


def _shortest_interval(inside: np.ndarray) -> tuple[int, int]:
    """Start and length of the shortest interval of a circle that holds every marked entry."""
    marked = np.flatnonzero(inside)
    gaps = np.diff(np.append(marked, marked[0] + inside.size))
    widest = int(gaps.argmax())
    start = int(marked[(widest + 1) % marked.size])
    return start - inside.size * (start >= inside.size // 2), inside.size - int(gaps[widest]) + 1


def _window(filters: np.ndarray, tile: tuple[int, int]) -> Window:
    """The smallest window of whole tiles that holds each filter's values above `NEGLIGIBLE`."""
    grid = filters.shape[1:]
    size = np.abs(filters)
    inside = size > NEGLIGIBLE * size.max(axis=(1, 2), keepdims=True)
    intervals = [(_shortest_interval(one.any(1)), _shortest_interval(one.any(0))) for one in inside]
    tiles = tuple(
        min(max(-(-both[axis][1] // tile[axis]) for both in intervals), grid[axis] // tile[axis])
        for axis in range(2)
    )
    starts = tuple(
        tuple(start - (tiles[axis] * tile[axis] - length) // 2 for axis, (start, length) in enumerate(both))
        for both in intervals
    )
    return tiles, starts


def _morlet_parameters(J: int, L: int) -> dict[str, np.ndarray]:
    j, angle = np.repeat(np.arange(J), L), np.tile(np.arange(L), J)
    return {
        "frequency": 0.75 * np.pi / 2.0**j,
        "width": 0.8 * 2.0**j,
        "angle": (int(L - L / 2 - 1) - angle) * np.pi / L,
        "slant": np.full(J * L, 4 / L),
        "low_width": np.array(0.8 * 2.0 ** (J - 1)),
    }


def morlet_parameters(J: int, L: int = 8) -> dict[str, Float[Array, "..."]]:
    """Return the parameters of the ordinary Morlet wavelets, to change or to learn.

    Args:
        J: The number of scales, at least 1.
        L: The number of angles on the half circle, at least 1.

    Returns:
        The arrays `frequency`, `width`, `angle` and `slant` of the wavelets, by scale and within a scale by
        angle, and `low_width`, the low-pass filter's standard deviation in pixels.

    Raises:
        TypeError: If `J` or `L` is not a whole number.
        ValueError: If `J` or `L` is below 1.

    Example:
        >>> from jaxtheory.harmonic import wavelets
        >>> sorted(wavelets.morlet_parameters(J=3))
        ['angle', 'frequency', 'low_width', 'slant', 'width']
    """
    values = _morlet_parameters(checks.count("J", J), checks.count("L", L))
    return {name: jnp.asarray(value) for name, value in values.items()}


def morlet(
    shape: tuple[int, int], J: int, L: int = 8, *, parameters: dict[str, Any] | None = None
) -> Filters:
    """Make Morlet wavelets and a Gaussian low-pass filter, as a maker of filters for a bank.

    Args:
        shape: The height and width of the grid.
        J: The number of scales, at least 1; the low-pass filter averages over 2^J pixels.
        L: The number of angles on the half circle, at least 1.
        parameters: The parameters, as `morlet_parameters` returns them; differentiable. By default the
            ordinary ones: their filters are computed in float64, and known to be negligible outside windows
            of frequencies. The filters of traced ones are exact to a millionth where no envelope is narrower
            than half a pixel.

    Returns:
        The filters.

    Raises:
        TypeError: If a size is not a whole number, or a parameter is complex.
        ValueError: If the parameters have other shapes than those of `morlet_parameters`.

    Example:
        >>> from jaxtheory.harmonic import wavelets
        >>> wavelets.morlet((40, 40), J=2, L=4).wavelets.shape
        (8, 40, 40)

    References:
        Joan Bruna and Stéphane Mallat, "Invariant scattering convolution networks", 2013.
    """
    shape = checks.sizes("shape", shape, ("height", "width"))
    J, L = checks.count("J", J), checks.count("L", L)
    names = ("frequency", "width", "angle", "slant", "low_width")
    if parameters is None:
        values = _morlet_parameters(J, L)
        low_pass = _low_pass(shape, values.pop("low_width"))
        waves = zip(*(values[name] for name in names[:4]))
        filters = np.stack([morlet_2d(*one, shape=shape) for one in waves])
        windows = tuple(
            _window(filters[j * L : (j + 1) * L], (shape[0] // 2**j, shape[1] // 2**j)) for j in range(J)
        )
        return Filters(low_pass, filters, windows)
    wanted = dict.fromkeys(names[:4], (J * L,)) | {"low_width": ()}
    found = {name: np.shape(value) for name, value in parameters.items()}
    if found != wanted:
        raise ValueError(f"parameters have the shapes {found}: take {wanted}, as morlet_parameters({J}, {L})")
    (*wave, low_width), back = real_arrays(**{name: parameters[name] for name in names})
    periods = PERIODS
    if all(checks.known(parameters[name]) for name in names[:4]):
        checks.positive("width", wave[1])
        checks.positive("slant", wave[3])
        ends = [abs(end) for one in zip(*map(np.asarray, wave)) for axis in _reach(*one) for end in axis]
        periods = max(periods, 2 * math.ceil(max(ends) / (2 * np.pi)) + 1)
    return back(Filters(_low_pass(shape, low_width), _morlets(tuple(wave), shape, periods)))


def _low_pass(shape: tuple[int, int], width: Any) -> tuple[Any, Any]:
    """The factors of the Gaussian low-pass filter, with Kymatio's pi."""
    height, breadth = (_gaussian_1d(size, width) for size in shape)
    return height, breadth * (np.pi / KYMATIO_PI)


@partial(jax.jit, static_argnames=("shape", "periods"))
def _morlets(wave: tuple[Array, ...], shape: tuple[int, int], periods: int) -> Array:
    """A Morlet wavelet for each entry of the parameters, one at a time: each covers many periods."""

    def one(parameters: tuple[Array, ...]) -> Array:
        frequency, *others = parameters
        wave = _gabor(jnp, frequency, *others, shape, periods)
        envelope = _gabor(jnp, 0 * frequency, *others, shape, periods)
        return wave - wave[0, 0] / envelope[0, 0] * envelope

    return lax.map(jax.checkpoint(one), wave)


def _cubic_spline_low_pass(frequency: np.ndarray) -> np.ndarray:
    """Squared modulus of the Fourier transform of the Battle-Lemarie cubic spline's scaling function."""
    # |B(w)|^2 / sum_k |B(w + 2 pi k)|^2 with B the cubic B-spline's transform, in closed form.
    square = np.sin(frequency / 2) ** 2
    total = 1 - square * (4 / 3 - square * (2 / 5 - square * 4 / 315))
    return np.sinc(frequency / (2 * np.pi)) ** 8 / total


def _cubic_b_spline(position: np.ndarray) -> np.ndarray:
    """The cubic B-spline on (-2, 2); its shifts by whole numbers sum to one."""
    x = np.abs(position)
    return np.where(x < 1, 2 / 3 - x**2 + x**3 / 2, np.maximum(2 - x, 0) ** 3 / 6)


def spline(shape: tuple[int, int], J: int, L: int = 8) -> Filters:
    r"""Make unitary filters, as a maker for a bank: directional wavelets of the Battle-Lemarie cubic spline.

    In polar coordinates $|\hat\psi_{j,\theta}|^2 = 2 (|\hat\phi(2^j r)|^2 - |\hat\phi(2^{j+1} r)|^2)
    \beta_3((\alpha - \theta) L / \pi)$ with the spline's scaling function and the cubic B-spline's partition
    of the circle, so that the Littlewood-Paley sum is one; at scale 0 the first term is one.

    Args:
        shape: The height and width of the grid.
        J: The number of scales, at least 1.
        L: The number of angles on the half circle, at least 2.

    Returns:
        The filters, the low-pass filter in one piece (it is no product of factors).

    Raises:
        TypeError: If a size is not a whole number.
        ValueError: If `J` is below 1 or `L` below 2.

    Example:
        >>> from jaxtheory.harmonic import scattering2d, wavelets
        >>> bank = scattering2d.filter_bank((16, 16), J=2, L=4, boundary="periodic", wavelet=wavelets.spline)
        >>> bool(abs(scattering2d.littlewood_paley(bank) - 1).max() < 1e-6)
        True

    References:
        Joan Bruna and Stéphane Mallat, "Invariant scattering convolution networks", 2013, appendix.
    """
    shape = checks.sizes("shape", shape, ("height", "width"))
    J, L = checks.count("J", J), checks.count("L", L, least=2)
    squares = np.zeros((J * L, *shape))
    height, width = (2 * np.pi * np.fft.fftfreq(size) for size in shape)
    # The highest frequency of an even size stands for both of its signs: its energy is their mean.
    signs = [(sign_h, sign_w) for sign_h in (1, -1) for sign_w in (1, -1)]
    for sign_h, sign_w in signs:
        h = np.where(height == -np.pi, sign_h * np.pi, height)[:, None]
        w = np.where(width == -np.pi, sign_w * np.pi, width)[None, :]
        radius, direction = np.hypot(h, w), np.arctan2(w, h)
        for j in range(J):
            wide = 1 if j == 0 else _cubic_spline_low_pass(2**j * radius)
            ring = wide - _cubic_spline_low_pass(2 ** (j + 1) * radius)
            for index, angle in enumerate(_morlet_parameters(1, L)["angle"]):
                turn = (direction - angle) * L / np.pi
                turn = (turn + L) % (2 * L) - L
                squares[j * L + index] += 2 * ring * _cubic_b_spline(turn) / len(signs)
    radius = np.hypot(height[:, None], width[None, :])
    return Filters(np.sqrt(_cubic_spline_low_pass(2**J * radius)), np.sqrt(np.maximum(squares, 0)))
