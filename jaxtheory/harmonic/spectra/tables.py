"""What the coefficients of scattering spectra are, in the order in which they are kept."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from jaxtheory.core import checks
from jaxtheory.harmonic.spectra.banks import Bank, check_bank

SYMMETRIES = ("angles", "scales")
"""What coefficients can be averaged over."""

Label = tuple[object, ...]


class Path(NamedTuple):
    """What a number in the vector of `flatten` is."""

    kind: str
    """The field of the spectra: `"mean"`, `"power"`, `"sparsity"`, `"phases"` or `"envelopes"`."""
    wavelets: tuple[int, ...]
    """The wavelets by number: of `phases` the modulus's and the outer one, of `envelopes` those of both
    moduli and the outer one. Of averaged coefficients they are those of the first one."""
    scales: tuple[int, ...]
    """The scales j of these wavelets."""
    angles: tuple[int, ...]
    """Their angles, as indices from 0 to L - 1."""
    part: str
    """Which part of a complex number it is, `"real"` or `"imaginary"`."""


@lru_cache(maxsize=64)
def phase_paths(J: int, L: int) -> tuple[tuple[int, int], ...]:
    """Return the wavelets of each entry of `phases`: the modulus's, and the outer one."""
    return tuple((inner, outer) for outer in range(J * L) for inner in range(_finer(outer, L)))


@lru_cache(maxsize=64)
def envelope_paths(J: int, L: int) -> tuple[tuple[int, int, int], ...]:
    """Return the wavelets of each entry of `envelopes`: those of both moduli, and the outer one."""
    return tuple(
        (one, other, outer)
        for outer in range(J * L)
        for one in range(_finer(outer, L))
        for other in range(one, _finer(outer, L))
    )


def _finer(outer: int, L: int) -> int:
    """The number of wavelets of the scale of another one, or of finer ones."""
    return (outer // L + 1) * L


def label(wavelets: tuple[int, ...], L: int, averaged: tuple[str, ...]) -> Label:
    """Return what coefficients have in common that are averaged over angles, over scales, or over both.

    Args:
        wavelets: The wavelets of the moduli, and then the outer one.
        L: The number of angles.
        averaged: What is averaged over, of `SYMMETRIES`.

    Returns:
        The scales and angles of the wavelets, relative to the outer one where they are averaged over.
    """
    scales, angles = ([number // L for number in wavelets], [number % L for number in wavelets])
    if "scales" in averaged:
        scales = [scale - scales[-1] for scale in scales[:-1]]
    if "angles" in averaged:
        # Their average is real, so that moduli of the same scale can change places.
        angles = [(angle - angles[-1]) % L for angle in angles[:-1]]
        pairs = sorted(zip(scales, angles))
        return (*pairs, *scales[len(angles) :])
    return (*zip(scales, angles), *scales[len(angles) :], *angles[len(scales) :])


@lru_cache(maxsize=64)
def orbits(kind: str, J: int, L: int, averaged: tuple[str, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return which coefficients are averaged together.

    Args:
        kind: A field of the spectra that depends on wavelets.
        J: The number of scales.
        L: The number of angles.
        averaged: What is averaged over, of `SYMMETRIES`.

    Returns:
        The number of the average for each coefficient, and the first coefficient of each average.
    """
    if kind in ("power", "sparsity"):
        # Averages over scales leave them, as their decay with the scale is what they tell.
        every = range(J * L)
        labels = [number // L if "angles" in averaged else number for number in every]
    else:
        table = phase_paths(J, L) if kind == "phases" else envelope_paths(J, L)
        labels = [label(wavelets, L, averaged) for wavelets in table]
    numbers: dict[object, int] = {}
    first = []
    for place, one in enumerate(labels):
        if one not in numbers:
            numbers[one] = len(first)
            first.append(place)
    return tuple(numbers[one] for one in labels), tuple(first)


def is_real(wavelets: tuple[int, ...], averaged: tuple[str, ...]) -> bool:
    """Whether a correlation has no imaginary part: a modulus's own, and averages over angles."""
    return "angles" in averaged or (len(wavelets) == 3 and wavelets[0] == wavelets[1])


def checked_symmetries(over: str | Sequence[str], dims: int) -> tuple[str, ...]:
    """Return what is averaged over in the order of `SYMMETRIES`."""
    over = (over,) if isinstance(over, str) else checks.entries("over", over, "'angles', 'scales' or both")
    for one in over:
        checks.one_of("over", one, SYMMETRIES)
    if dims == 1 and "angles" in over:
        raise ValueError("over is 'angles': take 'scales' for signals, which have no angles")
    return tuple(one for one in SYMMETRIES if one in over)


def paths(bank: Bank, over: str | Sequence[str] = ()) -> list[Path]:
    """Return what each number in the vector of `flatten` is.

    Args:
        bank: A bank, from `filter_bank`.
        over: The symmetries over which the spectra were averaged, as given to `average`.

    Returns:
        One entry a number: the kind, the wavelets with their scales and angles, and the part.

    Raises:
        TypeError: If `bank` is not a bank, or `over` is neither a name nor a sequence of names.
        ValueError: If something else than `"angles"` or `"scales"` is averaged over, or the angles of
            signals are.

    Example:
        >>> from jaxtheory.harmonic import spectra
        >>> table = spectra.paths(spectra.filter_bank((64,), J=2))
        >>> len(table), table[-1].kind, table[-1].wavelets, table[-1].part
        (16, 'envelopes', (0, 1, 1), 'imaginary')
    """
    check_bank(bank)
    J, L = bank.J, bank.L
    averaged = checked_symmetries(over, len(bank.shape))
    found = [Path("mean", (), (), (), "real")]
    for kind in ("power", "sparsity"):
        found += [_path(kind, (number,), L, "real") for number in orbits(kind, J, L, averaged)[1]]
    for kind, table in (("phases", phase_paths(J, L)), ("envelopes", envelope_paths(J, L))):
        chosen = [table[place] for place in orbits(kind, J, L, averaged)[1]]
        found += [_path(kind, wavelets, L, "real") for wavelets in chosen]
        found += [
            _path(kind, wavelets, L, "imaginary") for wavelets in chosen if not is_real(wavelets, averaged)
        ]
    return found


def _path(kind: str, wavelets: tuple[int, ...], L: int, part: str) -> Path:
    scales, angles = (tuple(map(part_of, wavelets)) for part_of in (lambda n: n // L, lambda n: n % L))
    return Path(kind, wavelets, scales, angles, part)
