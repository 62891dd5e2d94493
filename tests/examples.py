"""The table of public functions with sample arguments: one row each, and what applies to it.

`tests/test_examples.py` takes every row through jit, vmap, grad against finite differences, double
precision, export and eight devices. A form that does not apply says why, in words, instead of `True`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxtheory.harmonic import deformation, scattering2d, wavelets
from jaxtheory.sparse import proximal


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
    tolerance: float = 1e-5
    """Largest difference between two forms, relative to the largest value, in float32."""
    name: str = ""

    @property
    def id(self) -> str:
        """The function's name with its module, and what tells this row from others of the function."""
        module = self.function.__module__.removeprefix("jaxtheory.")
        return f"{module}.{self.function.__name__}" + (f"[{self.name}]" if self.name else "")


SMALL = "a small function; whole programs are exported and run on eight devices"


def _float32(rng, *shape: int):
    """Standard normal numbers in single precision."""
    return np.float32(rng.standard_normal(shape))


def _wave(rng):
    """Frequency, width, angle and slant of a wavelet, as arrays: numbers give filters in NumPy."""
    return tuple(jnp.float32(value + 0.05 * rng.standard_normal()) for value in (1.8, 1.2, 0.5, 0.7))


def _scattered(rng, *shape: int, **facts):
    """A bank with images, or one image, of its shape."""
    return scattering2d.filter_bank(shape[-2:], **{"J": 2, "L": 2} | facts), _float32(rng, *shape)


def _thresholded(rng):
    """Three numbers, some of them beyond the threshold beside them."""
    return _float32(rng, 3), np.float32(rng.uniform(0.2, 0.6, 1))


ONE_BANK = "one bank at a time: its filters are those of one shape and one set of scales"

EXAMPLES: list[Example] = [
    # harmonic.deformation
    Example(
        deformation.warp,
        lambda rng: (_float32(rng, 9, 12), 2 * _float32(rng, 2, 9, 12)),
        leading=(0, 1),
    ),
    Example(
        deformation.warp,
        lambda rng: (_float32(rng, 9, 12), 2 * _float32(rng, 2, 9, 12)),
        {"boundary": "reflect"},
        leading=(0, 1),
        name="reflect",
    ),
    Example(deformation.translate, lambda rng: (_float32(rng, 9, 12), _float32(rng, 2)), leading=(0, 1)),
    Example(deformation.dilate, lambda rng: (_float32(rng, 9, 12), _float32(rng)), leading=(0, 1)),
    Example(deformation.rotate, lambda rng: (_float32(rng, 9, 12), _float32(rng)), leading=(0, 1)),
    Example(deformation.dilation, lambda rng: (_float32(rng),), {"shape": (9, 12)}),
    Example(deformation.rotation, lambda rng: (_float32(rng),), {"shape": (9, 12)}),
    Example(deformation.displacement_norms, lambda rng: (_float32(rng, 2, 9, 12),), {"periodic": True}),
    Example(
        deformation.displacement_norms,
        lambda rng: (_float32(rng, 2, 9, 12),),
        {"periodic": False},
        name="differences",
    ),
    Example(
        deformation.random_displacement,
        lambda rng: (jax.random.key(int(rng.integers(1 << 30))),),
        {"shape": (9, 12), "smoothness": 2.0, "max_gradient": 0.25},
        vmap="one key, one draw: map over the keys",
        grad="a draw has no derivative in its key",
        x64="double precision draws other numbers",
    ),
    # harmonic.scattering2d
    Example(
        scattering2d.scatter,
        lambda rng: _scattered(rng, 10, 12),
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(
        scattering2d.scatter,
        lambda rng: _scattered(rng, 8, 12, padding="periodic", wavelet="spline"),
        {"chunk": 2},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
        name="spline",
    ),
    Example(
        scattering2d.propagate,
        lambda rng: _scattered(rng, 10, 12),
        leading=(1,),
        differentiable=(0, 1),
        export="its result is keyed by scales, and exported dictionaries are keyed by strings",
        devices=True,
    ),
    Example(
        scattering2d.cascade,
        lambda rng: _scattered(rng, 8, 8, padding="periodic"),
        {"order": 2},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
    ),
    Example(
        scattering2d.cascade,
        lambda rng: _scattered(rng, 8, 8, padding="periodic", wavelet="spline"),
        {"order": 2, "paths": "decreasing"},
        leading=(1,),
        differentiable=(0, 1),
        export=True,
        devices=True,
        name="decreasing",
    ),
    # harmonic.wavelets
    Example(wavelets.gabor_2d, _wave, {"shape": (8, 12)}, (), (0, 1, 2, 3), vmap=ONE_BANK),
    Example(wavelets.morlet_2d, _wave, {"shape": (8, 12)}, (), (0, 1, 2, 3), vmap=ONE_BANK),
    Example(
        wavelets.morlet_bank,
        lambda _: (wavelets.morlet_parameters(2, 3),),
        {"shape": (8, 12), "J": 2, "L": 3},
        (),
        (0,),
        vmap=ONE_BANK,
    ),
    Example(wavelets.low_pass_2d, lambda rng: _scattered(rng, 8, 12)[:1], None, (), (0,), vmap=ONE_BANK),
    Example(wavelets.littlewood_paley, lambda rng: _scattered(rng, 8, 12)[:1], None, (), (0,), vmap=ONE_BANK),
    # sparse.proximal
    Example(proximal.soft_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.nonnegative_soft_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.hard_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.group_soft_threshold, _thresholded, leading=(0, 1)),
    Example(proximal.l0_ball, lambda rng: (_float32(rng, 6),), {"sparsity": 2}),
    Example(
        proximal.elastic_net,
        lambda rng: (*_thresholded(rng), np.float32(rng.uniform(size=1))),
        leading=(0, 1, 2),
    ),
]

NOT_TRACED: dict[str, str] = {
    "harmonic.scattering2d.filter_bank": "makes filters from sizes; morlet_bank makes them from arrays",
    "harmonic.scattering2d.paths": "a table of what the channels hold",
    "harmonic.wavelets.morlet_parameters": "numbers for a count of scales and angles",
    "harmonic.wavelets.padded_shape": "sizes from sizes",
    "harmonic.wavelets.spline_bank": "makes filters from sizes",
}
"""Public functions of the theories that take no traced array, each with the reason."""
