"""Banks of filters for the scattering transform, on the grid of the padded images."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.records import record, static
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic import wavelets
from jaxtheory.harmonic.wavelets import Filters, Window


@record
class Bank:
    """A low-pass filter and oriented wavelets at dyadic scales; the leaves are full-resolution filters."""

    low_pass: Float[AnyArray, "H W"] | tuple[Float[AnyArray, " H"], Float[AnyArray, " W"]]
    """The Fourier transform of the low-pass filter, in one piece or as its factors along height and width."""
    wavelets: Float[AnyArray, "n H W"]
    """The Fourier transforms of the wavelets, real, by scale and within a scale by angle."""
    J: int = static()
    """The number of scales: the low-pass filter averages over 2^J pixels."""
    L: int = static()
    """The number of angles on the half circle."""
    order: int = static()
    """The largest order of the coefficients."""
    shape: tuple[int, int] = static()
    """The height and width of the images, before padding."""
    boundary: str = static()
    """How images are continued beyond their border, `"reflect"` or `"periodic"`."""
    windows: tuple[Window, ...] | None = static()
    """Where the wavelets of each scale live; `None` where that is not known beforehand."""

    @property
    def grid(self) -> tuple[int, int]:
        """The height and width of the padded images, on whose frequencies the filters are given."""
        return self.wavelets.shape[-2:]


def filter_bank(
    shape: tuple[int, int],
    J: int,
    L: int = 8,
    *,
    order: int = 2,
    boundary: str = "reflect",
    wavelet: Callable[[tuple[int, int], int, int], Filters] = wavelets.morlet,
) -> Bank:
    """Return the filters of a scattering transform.

    Args:
        shape: The height and width of the images, at least 2^J; multiples of 2^J where they are periodic.
        J: The number of scales, at least 1: coefficients are averaged over 2^J pixels.
        L: The number of angles on the half circle, at least 1.
        order: The largest order of the coefficients: 0, 1 or 2. `cascade` walks deeper paths.
        boundary: How images are continued beyond their border: `"reflect"` or `"periodic"`.
        wavelet: The function that makes the filters from the height and width of the grid, `J` and `L`:
            `wavelets.morlet` (Kymatio's), `wavelets.spline` for a unitary bank, or one of your own, such as
            `partial(wavelets.morlet, parameters=parameters)` to learn the wavelets' parameters.

    Returns:
        The bank: a pytree whose leaves are the filters, and `jax.grad` with respect to it learns them.

    Raises:
        TypeError: If a size is not a whole number or `wavelet` is not a function.
        ValueError: If an argument is out of its range, or `wavelet` makes filters of another shape.

    Example:
        >>> from jaxtheory.harmonic import scattering2d
        >>> bank = scattering2d.filter_bank((32, 32), J=3)
        >>> len(scattering2d.paths(bank))
        217

    References:
        Joan Bruna and Stéphane Mallat, "Invariant scattering convolution networks", 2013.
    """
    shape, J, L = _checked_sizes(shape, J, L, boundary)
    order = checks.count("order", order, least=0, most=2)
    if not callable(wavelet):
        raise TypeError(f"wavelet is {wavelet!r}: take a function that makes filters, as wavelets.morlet")
    grid = padded_shape(shape, J, boundary)
    made = wavelet(grid, J, L)
    if made.wavelets.shape != (J * L, *grid):
        raise ValueError(
            f"wavelet makes filters of the shape {made.wavelets.shape}: take one that makes {(J * L, *grid)}"
        )
    return Bank(
        low_pass=jax.tree.map(jnp.asarray, made.low_pass),
        wavelets=jnp.asarray(made.wavelets),
        J=J,
        L=L,
        order=order,
        shape=shape,
        boundary=boundary,
        windows=made.windows,
    )


def padded_shape(shape: tuple[int, int], J: int, boundary: str) -> tuple[int, int]:
    """Return the size to which images are padded: Kymatio's for `"reflect"`, their own for `"periodic"`.

    Args:
        shape: The height and width of the images.
        J: The number of scales: the low-pass filter averages over 2^J pixels.
        boundary: How images are continued beyond their border: `"reflect"` or `"periodic"`.

    Returns:
        The height and width, multiples of 2^J.

    Raises:
        TypeError: If a size is not a whole number.
        ValueError: If an argument is out of its range.

    Example:
        >>> from jaxtheory.harmonic import scattering2d
        >>> scattering2d.padded_shape((28, 28), 2, "reflect")
        (36, 36)
    """
    shape, J, _ = _checked_sizes(shape, J, 1, boundary)
    if boundary == "periodic":
        return shape
    return tuple((size // 2**J + 2) * 2**J for size in shape)


def _checked_sizes(shape: tuple[int, int], J: int, L: int, boundary: str) -> tuple[tuple[int, int], int, int]:
    """Sizes that a bank can have, as Python's numbers."""
    J, L = checks.count("J", J), checks.count("L", L)
    checks.one_of("boundary", boundary, ("reflect", "periodic"))
    shape = checks.sizes("shape", shape, ("height", "width"))
    if min(shape) < 2**J:
        raise ValueError(f"shape is {shape}: take at least 2^J = {2**J} in height and width, or a lower J")
    if boundary == "periodic" and any(size % 2**J for size in shape):
        raise ValueError(
            f"shape is {shape}: take multiples of 2^J = {2**J} with a periodic boundary, a lower J, or "
            "boundary='reflect'"
        )
    return shape, J, L


def low_pass_2d(bank: Bank) -> Float[Array, "H W"]:
    """Return the Fourier transform of a bank's low-pass filter in one piece.

    Args:
        bank: A bank, from `filter_bank`.

    Returns:
        The transform on the bank's grid.

    Example:
        >>> from jaxtheory.harmonic import scattering2d
        >>> scattering2d.low_pass_2d(scattering2d.filter_bank((8, 8), J=1, L=4)).shape
        (12, 12)
    """
    (bank,), back = real_arrays(bank=bank)
    if isinstance(bank.low_pass, tuple):
        return back(bank.low_pass[0][:, None] * bank.low_pass[1][None, :])
    return back(bank.low_pass)


def littlewood_paley(bank: Bank) -> Float[Array, "H W"]:
    r"""Return how much of each frequency's energy a bank keeps of a real signal.

    $A(\omega) = |\hat\phi(\omega)|^2 + \frac12 \sum_\lambda (|\hat\psi_\lambda(\omega)|^2 +
    |\hat\psi_\lambda(-\omega)|^2)$; a bank whose sum is one everywhere is unitary.

    Args:
        bank: A bank, from `filter_bank`.

    Returns:
        The sum on the bank's grid.

    Example:
        >>> from jaxtheory.harmonic import scattering2d
        >>> scattering2d.littlewood_paley(scattering2d.filter_bank((8, 8), J=1, L=4)).shape
        (12, 12)
    """
    (bank,), back = real_arrays(bank=bank)
    energy = jnp.sum(bank.wavelets**2, axis=0)
    mirrored = jnp.roll(energy[::-1, ::-1], (1, 1), axis=(0, 1))
    return back(low_pass_2d(bank) ** 2 + (energy + mirrored) / 2)
