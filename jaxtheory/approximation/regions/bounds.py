"""How many linear regions an architecture can have."""

from collections.abc import Sequence
from math import comb, prod

from jaxtheory.core import checks


def lower_bound(widths: Sequence[int]) -> int:
    r"""Return a number of linear regions that some weights reach, exponential in depth.

    It is $\prod_{l=1}^{L-1} \lfloor n_l / n_0 \rfloor^{n_0} \sum_{j=0}^{n_0} \binom{n_L}{j}$.

    Args:
        widths: The width $n_0$ of the input, and those of the hidden layers, each at least $n_0$.

    Returns:
        The number.

    Raises:
        TypeError: If a width is not a whole number.
        ValueError: If there is no hidden layer, or one is narrower than the input.

    Example:
        >>> from jaxtheory.approximation import regions
        >>> regions.lower_bound((2, 4, 4)), regions.lower_bound((2, 8))
        (44, 37)

    References:
        Montúfar, Pascanu, Cho and Bengio, On the number of linear regions of deep neural networks, 2014,
        theorem 5.
    """
    inputs, hidden = _checked(widths)
    if min(hidden) < inputs:
        raise ValueError(f"widths are {tuple(widths)}: take hidden layers at least as wide as the input")
    return prod((width // inputs) ** inputs for width in hidden[:-1]) * _hyperplanes(hidden[-1], inputs)


def upper_bound(widths: Sequence[int]) -> int:
    r"""Return a number of linear regions that no weights exceed.

    Each layer cuts every region of the layers before by $n_l$ hyperplanes within its image, of dimension
    $d_l = \min(n_0, \dots, n_{l-1})$ at most: $\prod_{l=1}^L \sum_{j=0}^{d_l} \binom{n_l}{j}$. For one hidden
    layer this is the exact maximum.

    Args:
        widths: The width $n_0$ of the input, and those of the hidden layers.

    Returns:
        The number.

    Raises:
        TypeError: If a width is not a whole number.
        ValueError: If there is no hidden layer, or a width is below 1.

    Example:
        >>> from jaxtheory.approximation import regions
        >>> regions.upper_bound((1, 2, 2)), regions.upper_bound((2, 8))
        (9, 37)

    References:
        Zaslavsky, Facing up to arrangements, 1975; Montúfar, Notes on the number of linear regions of deep
        neural networks, 2017.
    """
    inputs, hidden = _checked(widths)
    dimensions = [min((inputs, *hidden[:place])) for place in range(len(hidden))]
    return prod(map(_hyperplanes, hidden, dimensions))


def _hyperplanes(number: int, dimension: int) -> int:
    """Into how many parts hyperplanes in general position cut a space."""
    return sum(comb(number, j) for j in range(dimension + 1))


def _checked(widths: Sequence[int]) -> tuple[int, tuple[int, ...]]:
    """The width of the input and those of the hidden layers."""
    inputs, *hidden = (checks.count("widths", width) for width in widths)
    if not hidden:
        raise ValueError(f"widths are {tuple(widths)}: take the input's, and one or more hidden ones")
    return inputs, tuple(hidden)
