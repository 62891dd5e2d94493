r"""LeNet-1, LeNet-4 and LeNet-5, the convolutional networks of LeCun and others for digits.

Convolutions of 5 x 5 alternate with layers that subsample: a unit multiplies the sum of a square of four by a
coefficient, one for each map, and adds a bias. All units up to the last layer are squashed by
$1.7159 \tanh(2x/3)$. Which maps a map of the second convolution sees is in `TABLES`.

LeNet-4 cannot be rebuilt from its description: its authors give about 17,000 parameters and 260,000
connections, but the layer of 120 units alone, which sees 16 maps of 5 x 5 as in LeNet-5, has 48,120. The one
here has the layers that are described, and in the table that is not, three maps for each, which comes to
262,306 connections and 50,698 parameters.

References:
    Yann LeCun et al., "Handwritten digit recognition with a back-propagation network", 1990.
    Yann LeCun et al., "Comparison of learning algorithms for handwritten digit recognition", 1995.
    Yann LeCun, Leon Bottou, Yoshua Bengio and Patrick Haffner, "Gradient-based learning applied to document
    recognition", 1998.
"""

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import as_array, real_arrays
from jaxtheory.core.types import AnyArray, Precision, Reals
from jaxtheory.networks import convolution

CLASSES = 10
KERNEL, WINDOW = 5, 2
"""The sides of the kernels and of the squares that are subsampled."""
PAPER, INK = -0.1, 1.175
"""What the first convolution sees of an intensity of 0 and of 1."""
GLYPHS = """
..###.. ...#... ..###.. ####### .....#. ####### ..####. ####### ..###.. ..###..
.#...#. ..##... .#...#. ......# ....##. #...... .#..... ......# .#...#. .#...#.
#.....# .#.#... #.....# .....#. ....##. #...... #...... ......# #.....# #.....#
#.....# ...#... ......# ....#.. ...#.#. #...... #...... .....#. #.....# #.....#
#.....# ...#... ......# ...##.. ...#.#. #.###.. #.###.. .....#. .#...#. #.....#
#.....# ...#... .....#. .....#. ..#..#. ##...#. ##...#. ....#.. ..###.. .#...##
#.....# ...#... ....#.. ......# ..#..#. ......# #.....# ....#.. .#...#. ..###.#
#.....# ...#... ...#... ......# .#...#. ......# #.....# ...#... #.....# ......#
#.....# ...#... ..#.... ......# ####### ......# #.....# ...#... #.....# ......#
#.....# ...#... .#..... #.....# .....#. #.....# #.....# ..#.... #.....# ......#
.#...#. ...#... #...... .#...#. .....#. .#...#. .#...#. ..#.... .#...#. .....#.
..###.. .#####. ####### ..###.. .....#. ..###.. ..###.. ..#.... ..###.. .####..
"""
"""The digits in 7 x 12 pixels, drawn for this package; the drawings of LeNet-5 are the paper's figure 3."""
PROTOTYPES = np.array(
    [
        [1.0 if dot == "#" else -1.0 for dot in "".join(GLYPHS.split()[digit::CLASSES])]
        for digit in range(CLASSES)
    ]
)
"""The centers of LeNet-5's output units: 1 for ink and -1 for paper, (10, 84)."""


class _Form(NamedTuple):
    """The facts of a network."""

    side: int
    channels: tuple[int, int]
    """The maps of either convolution."""
    subsampled: tuple[int, int]
    """The maps after it; where they are more, each map of the convolution is subsampled more than once."""
    dense: tuple[int, ...]
    """The units of the layers between the maps and the output."""


FORMS = {
    1: _Form(28, (4, 12), (4, 12), ()),
    4: _Form(32, (4, 16), (8, 16), (120,)),
    5: _Form(32, (6, 16), (6, 16), (120, 84)),
}
TABLES = {
    1: ((0,), (0, 1), (0, 1), (1,), (0, 1), (0, 1), (2,), (2, 3), (2, 3), (3,), (2, 3), (2, 3)),
    4: tuple(tuple(sorted((start + step) % 8 for step in range(3))) for start in (*range(8), *range(8))),
    5: (
        *(tuple(sorted((start + step) % 6 for step in range(3))) for start in range(6)),
        *(tuple(sorted((start + step) % 6 for step in range(4))) for start in range(6)),
        (0, 1, 3, 4),
        (1, 2, 4, 5),
        (0, 2, 3, 5),
        (0, 1, 2, 3, 4, 5),
    ),
}
"""Which maps each map of the second convolution sees; LeNet-4's are chosen here."""


class Count(NamedTuple):
    """The size of a layer."""

    units: int
    parameters: int
    connections: int
    """How many products and biases are added up in all units."""


def squash(x: Reals) -> Float[Array, "..."]:
    r"""Return $1.7159 \tanh(2x/3)$, which is 1 at 1 and has its largest curvature there.

    Args:
        x: The weighted sums of units.

    Returns:
        The states of the units.

    Raises:
        TypeError: If `x` is complex or not an array of numbers.

    Example:
        >>> squash(1.0)
        Array(1.000, dtype=float32)

    References:
        LeCun et al. 1998, appendix A.
    """
    (x,), back = real_arrays(x=x)
    return back(1.7159 * jnp.tanh(x * (2 / 3)))


def counts(number: int) -> dict[str, Count]:
    """Return the units, parameters and connections of each layer of a network.

    Args:
        number: The network: 1, 4 or 5.

    Returns:
        The counts by layer, the first one first. The 840 centers of LeNet-5's output are connections, and no
        parameters, as they stay as they are.

    Raises:
        TypeError: If the number is not a whole number.
        ValueError: If there is no such network.

    Example:
        >>> layers = counts(5)
        >>> layers["C3"]
        Count(units=1600, parameters=1516, connections=151600)
        >>> sum(layer.parameters for layer in layers.values())
        60000
    """
    form = _form(number)
    sides = [form.side - KERNEL + 1]
    sides.append(sides[0] // WINDOW - KERNEL + 1)
    kernels = form.channels[0], sum(map(len, TABLES[number]))
    found = []
    for side, channels, maps, pairs in zip(sides, form.channels, form.subsampled, kernels):
        places, fewer = side**2, (side // WINDOW) ** 2
        weights = pairs * KERNEL**2 + channels
        found.append(Count(places * channels, weights, places * weights))
        found.append(Count(fewer * maps, 2 * maps, fewer * maps * (WINDOW**2 + 1)))
    inputs = found[-1].units
    for units in form.dense:
        weights = (inputs + 1) * units
        found.append(Count(units, weights, weights))
        inputs = units
    weights = (inputs + 1) * CLASSES
    found.append(Count(CLASSES, 0, PROTOTYPES.size) if number == 5 else Count(CLASSES, weights, weights))
    names = {1: "H1 H2 H3 H4", 4: "C1 S2 C3 S4 F5", 5: "C1 S2 C3 S4 C5 F6"}[number].split()
    return dict(zip((*names, "output"), found))


def make(
    number: int, *, dtype: Any = None, precision: Precision | None = None
) -> Callable[[nnx.Rngs], "LeNet"]:
    """Return what makes LeNet-1, LeNet-4 or LeNet-5, for `networks.functional`.

    Args:
        number: The network: 1, 4 or 5.
        dtype: The dtype of the parameters; by default JAX's, float64 where x64 is on.
        precision: The precision of convolutions and products; by default the device's, which accelerators
            round.

    Returns:
        A function from random streams to the network.

    Raises:
        TypeError: If the number is not a whole number.
        ValueError: If there is no such network.

    Example:
        >>> from jaxtheory import networks
        >>> init, apply = networks.functional(make(5))
        >>> params, state = init(jax.random.key(0))
        >>> sum(leaf.size for leaf in jax.tree.leaves(params))
        60000
    """
    _form(number)
    return partial(LeNet, number, dtype=dtype, precision=precision)


class LeNet(nnx.Module):
    r"""LeNet-1, LeNet-4 or LeNet-5.

    Images have intensities from 0 (paper) to 1 (ink), and the first convolution sees $1.275 x - 0.1$. Images
    smaller than the network's, which are those of 28 x 28 pixels where it takes 32 x 32, lie on paper in its
    middle. Weights start uniformly within $\pm 2.4 / n$, with $n$ the number of inputs to a unit, and biases
    at zero.

    What is returned are weighted sums, of which `squash` makes the states of the output units; from LeNet-5
    they are $-\sum_j (x_j - w_{ij})^2$, the distances of the 84 units below from the drawing of digit $i$,
    with a minus sign, so that the largest one is the class in every network, and the cross-entropy of
    LeNet-5's is its authors' criterion without the class of rubbish.

    Args:
        number: The network: 1, 4 or 5.
        rngs: The random streams from which the parameters are drawn.
        dtype: The dtype of the parameters; by default JAX's, float64 where x64 is on.
        precision: The precision of convolutions and products; by default the device's, which accelerators
            round.

    Raises:
        TypeError: If the number is not a whole number.
        ValueError: If there is no such network.

    Example:
        >>> nnx.eval_shape(lambda: LeNet(5, nnx.Rngs(0))(jnp.ones((2, 28, 28)))).shape
        (2, 10)
    """

    def __init__(self, number: int, rngs: nnx.Rngs, *, dtype: Any = None, precision: Precision | None = None):
        form = _form(number)
        options = {"rngs": rngs, "param_dtype": jnp.result_type(dtype or float), "precision": precision}
        self.number = number
        self.first = _Sparse(((0,),) * form.channels[0], 1, **options)
        self.second = _Sparse(TABLES[number], form.subsampled[0], **options)
        self.subsampled = nnx.List(
            _Subsampling(maps, rngs, options["param_dtype"]) for maps in form.subsampled
        )
        side = ((form.side - KERNEL + 1) // WINDOW - KERNEL + 1) // WINDOW
        widths = (side**2 * form.channels[1], *form.dense, *((CLASSES,) if number != 5 else ()))
        self.dense = nnx.List(
            nnx.Linear(inputs, outputs, kernel_init=_uniform(inputs), **options)
            for inputs, outputs in pairwise(widths)
        )

    def __call__(self, x: Real[AnyArray, "*batch height width"]) -> Float[Array, "*batch 10"]:
        """Return the weighted sums of the output units, or from LeNet-5 the distances with a minus sign.

        Args:
            x: The images, with intensities in [0, 1].

        Returns:
            The outputs, the largest of which belongs to the class.

        Raises:
            TypeError: If the images are not an array of numbers.
            ValueError: If they are larger than what the network takes.
        """
        x = jnp.asarray(as_array("x", x))
        checks.axes("x", x, "...", "H", "W")
        side, batch = FORMS[self.number].side, x.shape[:-2]
        if max(x.shape[-2:]) > side:
            raise ValueError(
                f"x has images of {x.shape[-2]} x {x.shape[-1]} pixels: take {side} x {side} or fewer"
            )
        x = x.reshape(-1, *x.shape[-2:], 1)
        missing = [side - size for size in x.shape[1:3]]
        x = jnp.pad(x, ((0, 0), *((one // 2, one - one // 2) for one in missing), (0, 0)))
        x = (INK - PAPER) * x + PAPER
        for layer, subsampling in zip((self.first, self.second), self.subsampled):
            x = subsampling(squash(layer(x)))
        x = x.reshape(*batch, -1)
        if self.number == 5:
            for layer in self.dense:
                x = squash(layer(x))
            return -jnp.sum((x[..., None, :] - jnp.asarray(PROTOTYPES, x.dtype)) ** 2, axis=-1)
        for layer in self.dense[:-1]:
            x = squash(layer(x))
        return self.dense[-1](x)


class _Subsampling(nnx.Module):
    """Sums of squares of four, each map with its coefficient and bias, and squashed."""

    def __init__(self, maps: int, rngs: nnx.Rngs, dtype: Any):
        self.coefficient = nnx.Param(_uniform(WINDOW**2)(rngs.params(), (maps,), dtype))
        self.bias = nnx.Param(jnp.zeros(maps, dtype))

    def __call__(self, x: Array) -> Array:
        sums = WINDOW**2 * convolution.pooled(x, WINDOW, "average")
        sums = jnp.repeat(sums, self.bias.shape[0] // x.shape[-1], axis=-1)
        return squash(sums * self.coefficient[...] + self.bias[...])


class _Sparse(nnx.Module):
    """A convolution whose maps see some of the maps below, as a table says."""

    def __init__(
        self,
        table: tuple[tuple[int, ...], ...],
        inputs: int,
        rngs: nnx.Rngs,
        param_dtype: Any,
        precision: Precision | None,
    ):
        self.table, self.inputs, self.precision = table, inputs, precision
        pairs = sum(map(len, table))
        bounds = np.repeat([2.4 / (len(seen) * KERNEL**2) for seen in table], [len(seen) for seen in table])
        drawn = jax.random.uniform(rngs.params(), (KERNEL, KERNEL, pairs), param_dtype, -1, 1)
        self.kernel = nnx.Param(drawn * jnp.asarray(bounds, param_dtype))
        """One kernel for each pair of a map and one that it sees, in the order of the table."""
        self.bias = nnx.Param(jnp.zeros(len(table), param_dtype))

    def __call__(self, x: Array) -> Array:
        # A product with zeros and ones puts kernels in their places; its derivative, too, is a product.
        places = [seen * len(self.table) + one for one, several in enumerate(self.table) for seen in several]
        chosen = np.eye(self.inputs * len(self.table))[places]
        kernel = jnp.matmul(self.kernel[...], jnp.asarray(chosen, self.kernel.dtype), precision="highest")
        kernel = kernel.reshape(KERNEL, KERNEL, self.inputs, len(self.table))
        maps = lax.platform_dependent(
            x,
            kernel,
            cpu=partial(_of_bands, precision=self.precision),
            default=partial(convolution.convolve, padding="VALID", precision=self.precision),
        )
        return maps + self.bias[...]


def _of_bands(x: Array, kernel: Array, *, precision: Precision | None) -> Array:
    """The convolution as one product of rows of images with a matrix of bands."""
    # It has several times as many operations as a product with patches, and takes less than half as long on
    # processors, as patches of few channels make a product of few columns.
    images, height, width, channels = x.shape
    rows, columns = height - KERNEL + 1, width - KERNEL + 1
    seen = [x[:, shift : shift + rows].reshape(images, rows, width * channels) for shift in range(KERNEL)]
    shifts = [np.eye(width, columns, -shift) for shift in range(KERNEL)]
    bands = jnp.einsum("vwj,uvcd->uwcjd", jnp.asarray(shifts, x.dtype), kernel, precision="highest")
    product = jnp.matmul(
        jnp.concatenate(seen, -1),
        bands.reshape(KERNEL * width * channels, columns * kernel.shape[3]),
        precision=precision,
    )
    return product.reshape(images, rows, columns, kernel.shape[3])


def _form(number: int) -> _Form:
    """The facts of a network, known to be one."""
    if checks.count("number", number) not in FORMS:
        raise ValueError(f"number is {number}: take 1, 4 or 5")
    return FORMS[number]


def _uniform(inputs: int) -> Callable[..., Array]:
    """An initializer of weights of units with so many inputs."""
    bound = 2.4 / inputs
    return lambda key, shape, dtype=float: jax.random.uniform(key, shape, dtype, -bound, bound)
