"""What a row of the table of examples is, with the makers and reasons that rows of several modules share."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxtheory.harmonic import scattering2d


@dataclass(frozen=True)
class Example:
    """A public function with sample arguments.

    `make(rng)` returns the positional arguments: pytrees of float32 NumPy or JAX arrays, traced in every
    test. `options` are keyword arguments that stay static. `leading` are the positions of arguments that
    take leading axes (an event-shaped sample is given); the others are shared. Each form is `True`, or the
    reason why it does not apply.
    """

    function: Callable[..., Any]
    make: Callable[..., tuple[Any, ...]]
    options: dict[str, Any] | None = None
    leading: tuple[int, ...] = (0,)
    differentiable: tuple[int, ...] | None = None
    """Positions of the arguments to differentiate; `None` for those with leading axes."""
    jit: bool | str = True
    vmap: bool | str = True
    grad: bool | str = True
    x64: bool | str = True
    export: bool | str = "a small function; whole programs are exported"
    devices: bool | str = "a small function; whole programs are run on eight devices"
    integer: bool | str = True
    """Whether integers at the positions of `leading` give what the same numbers as floats give."""
    half: bool | str = True
    """Whether bfloat16 arguments are computed in float32 and give bfloat16 results."""
    tolerance: float = 1e-5
    """Largest difference between two forms, relative to the largest value, in float32."""
    name: str = ""

    @property
    def id(self) -> str:
        """The function's name with its module, and what tells this row from others of the function."""
        module = self.function.__module__.removeprefix("jaxtheory.")
        return f"{module}.{self.function.__name__}" + (f"[{self.name}]" if self.name else "")


def float32(rng, *shape: int):
    """Standard normal numbers in single precision."""
    return np.float32(rng.standard_normal(shape))


def scattered(rng, *shape: int, **facts):
    """A bank with images, or one image, of its shape."""
    return scattering2d.filter_bank(shape[-2:], **{"J": 2, "L": 2} | facts), float32(rng, *shape)


CUT_SHORT = "its derivative is that of the minimum, where the row of that name goes"
ONE_MODEL = "one model at a time"
AT_THE_MINIMUM = "there, its gap is the rounding itself; tests/sparse holds its codes against others'"
