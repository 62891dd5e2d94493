"""Banks of two-dimensional wavelets, as Fourier transforms on the grid of an image.

Frequencies run as in `numpy.fft.fftfreq`: entry `[k, l]` of a filter of shape `(H, W)` is its transform at
`(2 pi k / H, 2 pi l / W)` radians a pixel, along height and width.
"""

import ast
import math
from dataclasses import dataclass, field
from functools import partial
from typing import Any, no_type_check

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

KYMATIO_PI = 3.1415
"""What Kymatio 0.3 takes for pi when it normalises two-dimensional filters: they are 2.9e-5 too large.

The Morlet bank takes the same constant, so that someone who moves over gets the same numbers.
"""

_TAIL = 8.5
"""Standard deviations after which a Gaussian is below the rounding of float64."""

_NEGLIGIBLE = 1e-6
"""What a filter may lose, relative to its largest value, when it is cut to a window of frequencies."""

Filter = Float[Array, "H W"] | Float[np.ndarray, "H W"]
Number = Float[Array, ""] | Float[np.ndarray, ""] | Float[np.floating, ""] | float | int
Window = tuple[tuple[int, int], tuple[tuple[int, int], ...]]
"""Where the wavelets of one scale live: numbers of tiles along height and width, and each wavelet's start.

Subsampling by 2^j folds a spectrum into tiles of (H / 2^j, W / 2^j). A window is a whole number of tiles that
starts anywhere (in grid steps, negative ones too): its folding is turned around by the start, which is a
modulation of the signal and does not change its modulus.
"""


@jax.tree_util.register_dataclass
@no_type_check  # trees of its form hold shardings, shapes and batches of arrays too
@dataclass(frozen=True)
class Bank:
    """A low-pass filter and oriented wavelets at dyadic scales; the leaves are full-resolution filters."""

    low_pass: Float[Array, "H W"] | tuple[Float[Array, " H"], Float[Array, " W"]]
    """Fourier transform of the low-pass filter: (H, W), or its factors along height (H,) and width (W,)."""
    wavelets: Float[Array, "n H W"]
    """Fourier transforms of the wavelets: (J * L, H, W), real, by scale and within a scale by angle."""
    J: int = field(metadata={"static": True})
    """The low-pass filter averages over 2^J pixels; the wavelets have the scales 0 to J - 1."""
    L: int = field(metadata={"static": True})
    """Number of angles on the half circle."""
    order: int = field(metadata={"static": True})
    """Largest order of the coefficients."""
    shape: tuple[int, int] = field(metadata={"static": True})
    """Height and width of the images, before padding."""
    padding: str = field(metadata={"static": True})
    """`"reflect"` or `"periodic"`."""
    windows: tuple[Window, ...] | None = field(metadata={"static": True})
    """For each scale where its wavelets live; `None` where that is not known beforehand."""

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the padded images, on whose frequencies the filters are given."""
        return self.wavelets.shape[-2:]


jax.export.register_pytree_node_serialization(
    Bank,
    serialized_name="jaxtheory.harmonic.wavelets.Bank",
    serialize_auxdata=lambda facts: repr(facts).encode(),
    deserialize_auxdata=lambda text: ast.literal_eval(text.decode()),
)


def _namespace(*values: Any) -> Any:
    """JAX's functions where one of the values is JAX's (traced, learnt), NumPy's in float64 otherwise."""
    return jnp if any(isinstance(value, jax.Array) for value in values) else np


def _periodised(values: Any, first: tuple[int, int], shape: tuple[int, int], xp: Any) -> Any:
    """Sums a spectrum that covers more than one period, its first entry at `first`, over the periods."""
    height, width = shape
    before = [start % size for start, size in zip(first, shape)]
    after = [-(lead + length) % size for lead, length, size in zip(before, values.shape, shape)]
    whole = xp.pad(values, list(zip(before, after)))
    return whole.reshape(-1, height, whole.shape[1] // width, width).sum(axis=(0, 2))


def gabor_2d(
    frequency: Number, width: Number, angle: Number, slant: Number = 1.0, *, shape: tuple[int, int]
) -> Filter:
    r"""Returns the Fourier transform of a plane wave under a Gaussian envelope.

    $\hat g(\omega) = \exp(-\frac{\sigma^2}{2} ((\omega - \xi e_\theta) \cdot e_\theta)^2
    - \frac{\sigma^2}{2 s^2} ((\omega - \xi e_\theta) \cdot e_\theta^\perp)^2)$, summed over the periods that
    sampling on the pixels makes of it.

    Args:
      frequency: the wave's frequency xi, in radians a pixel.
      width: standard deviation sigma of the envelope along the wave, in pixels.
      angle: direction theta of the wave, in radians from the axis of height.
      slant: the envelope's width divided by its width across the wave.
      shape: height and width of the grid.

    Returns:
      The real transform, (H, W): NumPy float64, or JAX's where a parameter is a JAX array.

    Example:
      >>> import numpy as np
      >>> from jaxtheory.harmonic import wavelets
      >>> lowest = wavelets.gabor_2d(0.0, 1.0, 0.0, shape=(8, 8))
      >>> bool(np.isclose(lowest[0, 0], np.pi / wavelets.KYMATIO_PI))
      True
    """
    xp = _namespace(frequency, width, angle, slant)
    along = (xp.cos(angle), xp.sin(angle))
    if xp is np:
        spread = (
            np.hypot(along[0] / width, along[1] * slant / width),
            np.hypot(along[1] / width, along[0] * slant / width),
        )
        reach = [
            (frequency * direction - _TAIL * deviation, frequency * direction + _TAIL * deviation)
            for direction, deviation in zip(along, spread)
        ]
        steps = [
            np.arange(math.floor(low * size / (2 * np.pi)), math.ceil(high * size / (2 * np.pi)) + 1)
            for (low, high), size in zip(reach, shape)
        ]
    else:
        # The widest default filter is negligible after two periods to each side.
        steps = [np.arange(-(5 * size // 2), 5 * size - 5 * size // 2) for size in shape]
    height, breadth = (
        2 * np.pi * step / size - frequency * direction for step, size, direction in zip(steps, shape, along)
    )
    parallel = height[:, None] * along[0] + breadth[None, :] * along[1]
    across = breadth[None, :] * along[0] - height[:, None] * along[1]
    values = xp.exp(-(width**2) / 2 * (parallel**2 + (across / slant) ** 2)) * (np.pi / KYMATIO_PI)
    return _periodised(values, (int(steps[0][0]), int(steps[1][0])), shape, xp)


def morlet_2d(
    frequency: Number, width: Number, angle: Number, slant: Number = 1.0, *, shape: tuple[int, int]
) -> Filter:
    r"""Returns the Fourier transform of a Morlet wavelet: a Gabor function made to have mean zero.

    $\hat\psi = \hat g_\xi - \frac{\hat g_\xi(0)}{\hat g_0(0)} \hat g_0$ with `gabor_2d`'s $\hat g$.

    Args:
      frequency: central frequency xi, in radians a pixel.
      width: standard deviation sigma of the envelope along the wave, in pixels.
      angle: direction theta of the wave, in radians from the axis of height.
      slant: the envelope's width divided by its width across the wave.
      shape: height and width of the grid.

    Returns:
      The real transform, (H, W): NumPy float64, or JAX's where a parameter is a JAX array.

    Example:
      >>> from jaxtheory.harmonic import wavelets
      >>> float(wavelets.morlet_2d(2.4, 0.8, 0.0, 0.5, shape=(16, 16))[0, 0])
      0.0

    References:
      J. Bruna and S. Mallat, Invariant scattering convolution networks, 2013.
    """
    wave = gabor_2d(frequency, width, angle, slant, shape=shape)
    envelope = gabor_2d(0.0 * frequency, width, angle, slant, shape=shape)
    return wave - wave[0, 0] / envelope[0, 0] * envelope


def _gaussian_1d(size: int, width: Number) -> Float[Array, " n"] | Float[np.ndarray, " n"]:
    """The Fourier transform of a Gaussian of unit mass, summed over the periods that sampling makes of it."""
    periods = 2 * np.pi * np.arange(-2, 3)[:, None]
    return (
        _namespace(width).exp(-((width * (2 * np.pi * np.fft.fftfreq(size) + periods)) ** 2) / 2).sum(axis=0)
    )


def _shortest_interval(inside: np.ndarray) -> tuple[int, int]:
    """Start and length of the shortest interval of a circle that holds every marked entry."""
    marked = np.flatnonzero(inside)
    gaps = np.diff(np.append(marked, marked[0] + inside.size))
    widest = int(gaps.argmax())
    start = int(marked[(widest + 1) % marked.size])
    return start - inside.size * (start >= inside.size // 2), inside.size - int(gaps[widest]) + 1


def _window(filters: np.ndarray, tile: tuple[int, int]) -> Window:
    """The smallest window of whole tiles that holds each filter's values above `_NEGLIGIBLE`."""
    grid = filters.shape[1:]
    size = np.abs(filters)
    inside = size > _NEGLIGIBLE * size.max(axis=(1, 2), keepdims=True)
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
    """Returns the parameters of the ordinary Morlet bank, to change or to learn.

    Args:
      J: number of scales, at least 1.
      L: number of angles on the half circle, at least 1.

    Returns:
      `frequency`, `width`, `angle` and `slant` of the wavelets, (J * L,) each, by scale and within a scale by
      angle, and `low_width`, the low-pass filter's standard deviation in pixels, ().

    Example:
      >>> from jaxtheory.harmonic import wavelets
      >>> sorted(wavelets.morlet_parameters(J=3))
      ['angle', 'frequency', 'low_width', 'slant', 'width']
    """
    return {name: jnp.asarray(value) for name, value in _morlet_parameters(J, L).items()}


@partial(jax.jit, static_argnames="shape")
def _learnt_morlets(wave: tuple[Array, ...], shape: tuple[int, int]) -> Array:
    """A Morlet wavelet for each entry of the parameters, one at a time: each covers many periods."""
    return lax.map(jax.checkpoint(lambda one: morlet_2d(*one, shape=shape)), wave)


def _check_parameters(parameters: dict[str, Any], number: int) -> None:
    wanted = dict.fromkeys(("frequency", "width", "angle", "slant"), (number,)) | {"low_width": ()}
    found = {name: np.shape(value) for name, value in parameters.items()}
    if found != wanted:
        raise ValueError(
            f"parameters must have the shapes {wanted}, found {found}: start from morlet_parameters(J, L)."
        )


def morlet_bank(
    parameters: dict[str, Any] | None,
    shape: tuple[int, int],
    J: int,
    L: int = 8,
    order: int = 2,
    padding: str = "reflect",
) -> Bank:
    """Returns a bank of Morlet wavelets with a Gaussian low-pass filter.

    Args:
      parameters: as `morlet_parameters` returns them; differentiable. `None` for the ordinary ones: their
        filters are computed in float64 and cast, and known to be negligible outside windows of frequencies.
      shape: height and width of the images.
      J: number of scales, at least 1; the low-pass filter averages over 2^J pixels.
      L: number of angles on the half circle, at least 1.
      order: largest order of the coefficients: 0, 1 or 2.
      padding: `"reflect"` or `"periodic"`.

    Returns:
      The bank.

    Example:
      >>> from jaxtheory.harmonic import wavelets
      >>> wavelets.morlet_bank(None, (32, 32), J=2, L=4).wavelets.shape
      (8, 40, 40)

    References:
      J. Bruna and S. Mallat, Invariant scattering convolution networks, 2013.
    """
    _check_bank(shape, J, L, order, padding)
    grid = padded_shape(shape, J, padding)
    fixed = parameters is None
    values = _morlet_parameters(J, L) if fixed else parameters
    _check_parameters(values, J * L)
    wave = [values[name] for name in ("frequency", "width", "angle", "slant")]
    low_pass = [_gaussian_1d(size, values["low_width"]) for size in grid]
    low_pass[1] = low_pass[1] * (np.pi / KYMATIO_PI)
    if fixed:
        filters = np.stack([morlet_2d(*one, shape=grid) for one in zip(*wave)])
        windows = tuple(
            _window(filters[j * L : (j + 1) * L], (grid[0] // 2**j, grid[1] // 2**j)) for j in range(J)
        )
    else:
        filters, windows = _learnt_morlets(tuple(map(jnp.asarray, wave)), grid), None
    return Bank(
        low_pass=tuple(map(jnp.asarray, low_pass)),
        wavelets=jnp.asarray(filters),
        J=J,
        L=L,
        order=order,
        shape=tuple(shape),
        padding=padding,
        windows=windows,
    )


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


def spline_bank(
    shape: tuple[int, int], J: int, L: int = 8, order: int = 2, padding: str = "periodic"
) -> Bank:
    r"""Returns a unitary bank: directional wavelets from the Battle-Lemarie cubic spline.

    In polar coordinates $|\hat\psi_{j,\theta}|^2 = 2 (|\hat\phi(2^j r)|^2 - |\hat\phi(2^{j+1} r)|^2)
    \beta_3((\alpha - \theta) L / \pi)$ with the spline's scaling function and the cubic B-spline's partition
    of the circle, so that the Littlewood-Paley sum is one; at scale 0 the first term is one.

    Args:
      shape: height and width of the images.
      J: number of scales, at least 1.
      L: number of angles on the half circle, at least 2.
      order: largest order of the coefficients: 0, 1 or 2.
      padding: `"reflect"` or `"periodic"`.

    Returns:
      The bank, its low-pass filter in one piece (it is no product of factors).

    Example:
      >>> from jaxtheory.harmonic import wavelets
      >>> bank = wavelets.spline_bank((16, 16), J=2, L=4)
      >>> bool(abs(wavelets.littlewood_paley(bank) - 1).max() < 1e-6)
      True

    References:
      J. Bruna and S. Mallat, Invariant scattering convolution networks, 2013, appendix.
    """
    _check_bank(shape, J, L, order, padding)
    if L < 2:
        raise ValueError(f"L must be at least 2 for the spline bank, found L = {L}: give L=2 or more angles.")
    grid = padded_shape(shape, J, padding)
    squares = np.zeros((J * L, *grid))
    height, width = (2 * np.pi * np.fft.fftfreq(size) for size in grid)
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
    return Bank(
        low_pass=jnp.asarray(np.sqrt(_cubic_spline_low_pass(2**J * radius))),
        wavelets=jnp.asarray(np.sqrt(np.maximum(squares, 0))),
        J=J,
        L=L,
        order=order,
        shape=tuple(shape),
        padding=padding,
        windows=None,
    )


def low_pass_2d(bank: Bank) -> Float[Array, "H W"]:
    """Returns the low-pass filter's Fourier transform in one piece.

    Args:
      bank: any bank.

    Returns:
      The transform, (H, W).

    Example:
      >>> from jaxtheory.harmonic import wavelets
      >>> wavelets.low_pass_2d(wavelets.morlet_bank(None, (8, 8), J=1, L=4)).shape
      (12, 12)
    """
    if isinstance(bank.low_pass, tuple):
        return bank.low_pass[0][:, None] * bank.low_pass[1][None, :]
    return bank.low_pass


def littlewood_paley(bank: Bank) -> Float[Array, "H W"]:
    r"""Returns how much of each frequency's energy the bank keeps of a real signal.

    $A(\omega) = |\hat\phi(\omega)|^2 + \frac12 \sum_\lambda (|\hat\psi_\lambda(\omega)|^2 +
    |\hat\psi_\lambda(-\omega)|^2)$; a bank whose sum is one everywhere is unitary.

    Args:
      bank: any bank.

    Returns:
      The sum, (H, W).

    Example:
      >>> from jaxtheory.harmonic import wavelets
      >>> wavelets.littlewood_paley(wavelets.morlet_bank(None, (8, 8), J=1, L=4)).shape
      (12, 12)
    """
    energy = jnp.sum(bank.wavelets**2, axis=0)
    mirrored = jnp.roll(energy[::-1, ::-1], (1, 1), axis=(0, 1))
    return low_pass_2d(bank) ** 2 + (energy + mirrored) / 2


def _check_bank(shape: tuple[int, int], J: int, L: int, order: int, padding: str) -> None:
    if len(shape) != 2:
        raise ValueError(f"shape must be (height, width), found {shape}.")
    if J < 1:
        raise ValueError(f"J must be at least 1, found J = {J}: the coarsest average is over 2^J pixels.")
    if L < 1:
        raise ValueError(f"L must be at least 1, found L = {L}: a bank needs an angle.")
    if order not in (0, 1, 2):
        raise ValueError(
            f"order must be 0, 1 or 2, found order = {order}: scattering2d.cascade walks deeper paths."
        )
    if padding not in ("reflect", "periodic"):
        raise ValueError(f'padding must be "reflect" or "periodic", found {padding!r}.')
    if min(shape) < 2**J:
        raise ValueError(
            f"shape must be at least 2^J = {2**J} in height and width, found {tuple(shape)}: lower J = {J}."
        )
    if padding == "periodic" and any(size % 2**J for size in shape):
        raise ValueError(
            f"shape must be multiples of 2^J = {2**J} with periodic padding, found {tuple(shape)}: "
            'crop the images, lower J, or take padding="reflect".'
        )


def padded_shape(shape: tuple[int, int], J: int, padding: str) -> tuple[int, int]:
    """Returns the size to which images are padded: Kymatio's for `"reflect"`, none for `"periodic"`.

    Args:
      shape: height and width of the images.
      J: the low-pass filter averages over 2^J pixels.
      padding: `"reflect"` or `"periodic"`.

    Returns:
      Height and width, multiples of 2^J.

    Example:
      >>> from jaxtheory.harmonic import wavelets
      >>> wavelets.padded_shape((28, 28), 2, "reflect")
      (36, 36)
    """
    if padding == "periodic":
        return tuple(shape)
    return tuple((size // 2**J + 2) * 2**J for size in shape)
