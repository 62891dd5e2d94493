"""Scattering of images, forward and with the gradient of a projection, against Kymatio and the bare FFTs.

Images are random, in single precision. The gradient is that of a fixed random projection of the coefficients
with respect to the images. The limit is made of the Fourier transforms that the same coefficients need, of
the same sizes and numbers, in chunks that fit into a processor's cache, and nothing else; reverse mode needs
them twice. Kymatio's NumPy form has no gradient, and its eager JAX form is not timed at it.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from jaxtheory.lab.machines.bench import Case, Contestant, faster, within
from jaxtheory.lab.machines.programs import Check

L = 8
CACHE = 150_000
"""Pixels that a processor works on at a time."""
JITTED = "kymatio jax, jit"
NUMPY = "kymatio numpy"
TORCH = "kymatio torch"
SMALLEST = 32
"""Height and width of the images that are checked on devices."""
SIZES = {
    "128 x 32 x 32, J = 3": {"number": 128, "size": 32, "J": 3},
    "8 x 256 x 256, J = 4": {"number": 8, "size": 256, "J": 4},
    "1 x 1024 x 1024, J = 5": {"number": 1, "size": 1024, "J": 5},
}
START = faster(1.0, than=JITTED, quantity="first call")
BARS = {
    "128 x 32 x 32, J = 3, forward": [faster(2.0, than=JITTED, aim=3.0), START, within(2.0)],
    "8 x 256 x 256, J = 4, forward": [faster(1.5, than=JITTED, aim=2.0), START],
    "128 x 32 x 32, J = 3, gradient": [faster(3.0, than=TORCH, aim=4.0), START, within(2.0)],
}
CASES = [
    Case(
        f"{size}, {form}",
        {**options, "gradient": form == "gradient"},
        BARS.get(f"{size}, {form}", [START]),
        # The modulus's derivative turns where a response is near zero, at rounding's mercy.
        tolerance=1e-3 if form == "gradient" else 1e-4,
    )
    for size, options in SIZES.items()
    for form in ("forward", "gradient")
]


def images(number: int, size: int) -> np.ndarray:
    """The images that every contestant transforms."""
    return np.random.default_rng(0).standard_normal((number, size, size), np.float32)


def projection(number: int, size: int, J: int) -> np.ndarray:
    """What the coefficients are projected on before they are differentiated."""
    channels = 1 + J * L + J * (J - 1) // 2 * L**2
    return np.random.default_rng(1).standard_normal((number, channels, size >> J, size >> J), np.float32)


def slope(scatter: Callable[..., Any]) -> Callable[..., Any]:
    """The gradient of the projection, of a transform in JAX: (bank, images, projection) to images."""
    import jax
    import jax.numpy as jnp

    def project(bank: Any, x: Any, v: Any) -> Any:
        return jnp.vdot(scatter(bank, x), v, precision="highest")

    return jax.jit(jax.grad(project, argnums=1))


def ours(number: int, size: int, J: int, *, gradient: bool) -> Callable[[], Any]:
    """The transform of this package."""
    import jax

    from jaxtheory.harmonic import scattering2d

    bank = scattering2d.filter_bank((size, size), J, L)
    bank, x, v = jax.device_put((bank, images(number, size), projection(number, size, J)))
    if gradient:
        return partial(slope(scattering2d.scatter), bank, x, v)
    return partial(scattering2d.scatter, bank, x)


def kymatio(number: int, size: int, J: int, *, gradient: bool, frontend: str, jit: bool = False) -> Any:
    """Kymatio's transform with one of its frontends."""
    x, v = images(number, size), projection(number, size, J) if gradient else None
    return of_kymatio(
        "Scattering2D", {"J": J, "shape": (size, size), "L": L}, x, v, frontend=frontend, jit=jit
    )


def of_kymatio(
    name: str, options: dict[str, Any], x: np.ndarray, v: np.ndarray | None, *, frontend: str, jit: bool
) -> Callable[[], Any]:
    """A transform of Kymatio's with one of its frontends, or its gradient where there is a projection."""
    if v is not None and frontend != "torch" and not jit:
        raise NotImplementedError("has no gradient" if frontend == "numpy" else "not timed without jit")
    import importlib

    import scipy.special

    if not hasattr(scipy.special, "sph_harm"):
        # Kymatio 0.3 imports what SciPy 1.17 has taken away.
        scipy.special.sph_harm = lambda m, n, azimuth, polar: scipy.special.sph_harm_y(n, m, polar, azimuth)
    transform = getattr(importlib.import_module(f"kymatio.{frontend}"), name)(**options)
    if frontend == "numpy":
        return partial(transform, x)
    if frontend == "torch":
        import torch

        return partial(torch_run, transform, torch.from_numpy(x), None if v is None else torch.from_numpy(v))
    import jax

    if v is not None:
        return partial(slope(lambda _, x: transform(x)), (), *jax.device_put((x, v)))
    return partial(jax.jit(transform) if jit else transform, jax.device_put(x))


def torch_run(transform: Any, x: Any, v: Any) -> np.ndarray:
    """One call in torch, with the gradient where there is a projection."""
    import torch

    if v is None:
        with torch.no_grad():
            return transform(x).numpy()
    x = x.detach().requires_grad_()
    (transform(x) * v).sum().backward()
    return x.grad.numpy()


def transforms(size: int, J: int) -> list[tuple[int, int, bool]]:
    """The Fourier transforms of one image: side, how many, and whether of real signals."""
    grid = ((size + 2**J) // 2**J + 1) * 2**J
    needed = [(grid, 1, True)]
    for j in range(J):
        # The responses at this scale: of the image, and of the moduli at each scale before it.
        needed.append((grid >> j, L + j * L**2, False))
        if j < J - 1:
            needed.append((grid >> j, L, True))
    return needed


def bare(number: int, size: int, J: int, *, gradient: bool) -> Callable[[], Any]:
    """The Fourier transforms alone, one after the other on the same maps, there and back."""
    import jax
    import jax.numpy as jnp

    grid = transforms(size, J)[0][0]
    chunk = min(number, max(1, CACHE // grid**2))
    chunks = -(-number // chunk)
    rounds = 2 if gradient else 1

    def chain(x: Any, many: int, *, real: bool) -> Any:
        if real:
            there, back = jnp.fft.rfft2, partial(jnp.fft.irfft2, s=x.shape[-2:])
        else:
            there, back = jnp.fft.fft2, jnp.fft.ifft2
        x = jax.lax.fori_loop(0, many // 2, lambda _, x: back(there(x)), x)
        return (there(x) if many % 2 else x).ravel()[0].real

    @jax.jit
    def run(maps: Mapping[int, Any]) -> Any:
        def of_chunk(maps: Mapping[int, Any]) -> Any:
            return sum(
                chain(maps[side] if real else maps[side].astype(jnp.complex64), rounds * many, real=real)
                for side, many, real in transforms(size, J)
            )

        return jax.lax.map(of_chunk, maps)

    rng = np.random.default_rng(0)
    sides = {side for side, _, _ in transforms(size, J)}
    maps = {side: rng.standard_normal((chunks, chunk, side, side), np.float32) for side in sides}
    return partial(run, jax.device_put(maps))


def beside_kymatio(ours: Callable[..., Any], kymatio: Callable[..., Any]) -> dict[str, Contestant]:
    """Ours and Kymatio's frontends by name; `kymatio` takes `frontend` and `jit` besides the case."""
    return {
        "jaxtheory": Contestant("ours", ours),
        # NumPy's transforms have one thread and JAX's as many as there are processors, whatever is asked.
        NUMPY: Contestant("peer", partial(kymatio, frontend="numpy")),
        TORCH: Contestant("peer", partial(kymatio, frontend="torch"), threads=(1, 2)),
        "kymatio jax": Contestant("peer", partial(kymatio, frontend="jax")),
        JITTED: Contestant("peer", partial(kymatio, frontend="jax", jit=True)),
    }


CONTESTANTS = beside_kymatio(ours, kymatio) | {"bare FFTs": Contestant("limit", bare)}


def programs() -> dict[str, tuple[Callable[..., Any], tuple[Any, ...]]]:
    """Our programs, for compilation ahead of time: every size forward, the smallest with its gradient too.

    The other gradients are the same program at other sizes, and compile for minutes.
    """
    import jax

    from jaxtheory.harmonic import scattering2d

    named = {}
    for name, case in ((case.name, case.options) for case in CASES):
        number, size, J = case["number"], case["size"], case["J"]
        bank = jax.eval_shape(partial(scattering2d.filter_bank, (size, size), J, L))
        x = jax.ShapeDtypeStruct((number, size, size), np.float32)
        if not case["gradient"]:
            named[name] = (jax.jit(scattering2d.scatter), (bank, x))
        elif size == SMALLEST:
            v = jax.ShapeDtypeStruct(projection(number, size, J).shape, np.float32)
            named[name] = (slope(scattering2d.scatter), (bank, x, v))
    return named


def checks() -> dict[str, Check]:
    """Small problems to check devices with."""
    from jaxtheory.harmonic import scattering2d

    number, size, J = 4, SMALLEST, 2
    bank, x = scattering2d.filter_bank((size, size), J, L), images(number, size)
    gradient = slope(scattering2d.scatter)
    return {
        f"{number} x {size} x {size}, J = {J}, forward": Check(scattering2d.scatter, (bank, x)),
        # The modulus's derivative turns where a response is near zero, at rounding's mercy.
        f"{number} x {size} x {size}, J = {J}, gradient": Check(
            gradient, (bank, x, projection(number, size, J)), tolerance=1e-3
        ),
    }
