"""What the channels of roto-translation scattering hold, and averages of them over scales."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray
from jaxtheory.harmonic.rototranslation.banks import Bank


class Path(NamedTuple):
    """What a channel of the roto-translation scattering coefficients holds."""

    order: int
    """The number of layers of wavelets on the path."""
    scales: tuple[int, ...] = ()
    """The scales j of the wavelets in position."""
    turn: int | None = None
    """At order 2: how many angles the second wavelet in position stands ahead of the orientation."""
    angular_scale: int | None = None
    """At order 2: the scale of the wavelet along the angle, or K for the average over neighboring angles."""
    harmonic: int = 0
    """How often the harmonic of the orientation turns in a circle; 0 is the average."""


def paths(bank: Bank, *, harmonics: int = 0) -> list[Path]:
    """Return what each channel of `scatter` holds.

    Args:
        bank: A bank, from `filter_bank`.
        harmonics: The largest harmonic that is kept, from 0 to L.

    Returns:
        One entry a channel: first all averages over the orientation, then what has a first harmonic, and so
        on. What is the same at opposite orientations has even harmonics only. Those of harmonic 0 are also
        what `orbits` returns by orientation.

    Raises:
        TypeError: If `harmonics` is not a whole number.
        ValueError: If `harmonics` is out of range.

    Example:
        >>> from jaxtheory.harmonic import rototranslation
        >>> bank = rototranslation.filter_bank((16, 16), J=2, L=4)
        >>> rototranslation.paths(bank)[-1]
        Path(order=2, scales=(0, 1), turn=3, angular_scale=2, harmonic=0)
    """
    space = bank.space
    harmonics = checks.count("harmonics", harmonics, least=0, most=space.L)
    table = [Path(0)]
    if space.order >= 1:
        table += [Path(1, (j,)) for j in range(space.J)]
    if space.order == 2:
        pairs = [(j, k) for j in range(space.J) for k in range(j + 1, space.J)]
        table += [
            Path(2, pair, turn, scale)
            for pair in pairs
            for turn in range(space.L)
            for scale in range(bank.K + 1)
        ]
    return [
        path._replace(harmonic=harmonic)
        for harmonic in range(harmonics + 1)
        for path in table
        if _has_harmonic(bank, path, harmonic)
    ]


def _has_harmonic(bank: Bank, path: Path, harmonic: int) -> bool:
    """Whether a path's coefficients vary with the orientation as often in a circle."""
    if harmonic == 0 or path.order == 0:
        return harmonic == 0
    # A real filter along the angle sees the same at opposite orientations.
    return harmonic % 2 == 0 or (path.order == 2 and path.angular_scale < bank.K)


def average_scales(
    bank: Bank,
    coefficients: Real[AnyArray, "... C h w"],
    *,
    octaves: int | None = None,
    harmonics: int = 0,
) -> Float[Array, "... c h w"]:
    r"""Average coefficients over scales, so that they change less when the image is scaled.

    A dilation by $2^l$ moves coefficients from the scales $(j_1, j_2)$ to $(j_1 + l, j_2 + l)$: averages are
    over consecutive $j_1$ of the same difference $j_2 - j_1$. Over all of them, a dilation changes no more
    than what enters and leaves at the ends of the range of scales. The coefficients may be logarithms. Sifre
    and Mallat average the coefficients of a scaled image instead, to the same end.

    Args:
        bank: The bank by which they were computed.
        coefficients: The coefficients, from `scatter`.
        octaves: The number of consecutive scales in an average, from 1 to J. By default all that there are;
            so are those of a difference that has fewer.
        harmonics: The largest harmonic that was kept, as in `scatter`.

    Returns:
        The averages, in the order of `paths` by the first of the channels that each is of.

    Raises:
        TypeError: If the coefficients are complex, or a number is not a whole one.
        ValueError: If there are other channels than those of the bank, or a number is out of range.

    Example:
        >>> import jax.numpy as jnp
        >>> from jaxtheory.harmonic import rototranslation
        >>> bank = rototranslation.filter_bank((16, 16), J=3, L=2)
        >>> coefficients = rototranslation.scatter(bank, jnp.eye(16))
        >>> coefficients.shape, rototranslation.average_scales(bank, coefficients).shape
        ((16, 2, 2), (10, 2, 2))

    References:
        Laurent Sifre and Stéphane Mallat, "Rotation, scaling and deformation invariant scattering for texture
        discrimination", 2013.
    """
    J = bank.space.J
    octaves = J if octaves is None else checks.count("octaves", octaves, most=J)
    table = paths(bank, harmonics=harmonics)
    (coefficients,), back = real_arrays(coefficients=coefficients)
    checks.axes("coefficients", coefficients, "...", "C", "h", "w", sizes=(len(table), None, None))
    place = {path: channel for channel, path in enumerate(table)}
    rows = []
    for path in table:
        # Scales from the path's own on, as long as there are any.
        number = min(octaves, J - (path.scales[-1] - path.scales[0])) if path.scales else 1
        group = [path._replace(scales=tuple(j + step for j in path.scales)) for step in range(number)]
        if all(one in place for one in group):
            row = np.zeros(len(table))
            row[[place[one] for one in group]] = 1 / number
            rows.append(row)
    weights = jnp.asarray(np.stack(rows), coefficients.dtype)
    return back(jnp.einsum("gC,...Chw->...ghw", weights, coefficients, precision="highest"))
