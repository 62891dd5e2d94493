r"""Functions that are local or jump: interpolants, partitions of unity, half-spaces, horizons, wavelets."""

import numpy as np

from jaxtheory.approximation.relu.calculus import add, affine, compose, identity, parallel
from jaxtheory.approximation.relu.network import Network, Numbers, double
from jaxtheory.core import checks
from jaxtheory.core.types import RealScalar


def interpolant(knots: Numbers, values: Numbers) -> Network:
    r"""Return the piecewise linear interpolant of values at knots, $f(t_0) + \sum_i c_i \sigma(x - t_i)$.

    Left of the first knot it is constant; right of the last one it goes on with its last slope.

    Args:
        knots: The knots $t_i$, `(knots,)`, at least two, rising.
        values: The values $f(t_i)$, `(knots,)`.

    Returns:
        The network of one input, with one hidden layer of as many neurons as pieces.

    Raises:
        ValueError: If there are fewer than two knots, they do not rise, or there is not one value each.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> relu.apply(relu.interpolant((0, 1, 3), (0, 2, 0)), np.float32([[0.5], [2.0]]))[:, 0]
        Array([1., 1.], dtype=float32)
    """
    knots, values = double(knots), double(values)
    checks.axes("knots", knots, "knots")
    if len(knots) < 2 or not (np.diff(knots) > 0).all():
        raise ValueError("knots do not rise: take at least two, each larger than the one before")
    checks.axes("values", values, "knots", sizes=knots.shape)
    slopes = np.diff(values) / np.diff(knots)
    kernels = (np.ones((1, len(slopes))), np.diff(slopes, prepend=0.0)[:, None])
    return Network(kernels, (-knots[:-1], values[:1]), error=0.0)


def partition_of_unity(cells: int) -> Network:
    r"""Return the partition of unity $\phi_0, \dots, \phi_N$ on $[0, 1]$ by trapezoids around $k / N$.

    Each $\phi_k$ is 1 within $1 / 3N$ of its center and 0 beyond $2 / 3N$; they sum to 1 exactly. Products of
    them over the variables are the partition of unity of a cube.

    Args:
        cells: The number $N$ of cells, at least 1.

    Returns:
        The network of one input and $N + 1$ outputs, with one hidden layer of $2N$ neurons.

    Raises:
        TypeError: If the number is not a whole number.
        ValueError: If the number is below 1.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> relu.apply(relu.partition_of_unity(2), np.float32([0.125]))
        Array([1., 0., 0.], dtype=float32)

    References:
        Yarotsky, Error bounds for approximations with deep ReLU networks, 2017.
    """
    cells = checks.count("cells", cells)
    # A ramp between two centers falls on one side of it and rises on the other.
    ramps = np.eye(cells, cells + 1, 1) - np.eye(cells, cells + 1)
    ends = (np.arange(cells)[:, None] + double([1, 2]) / 3) / cells
    outputs = 3 * cells * np.repeat(ramps, 2, axis=0) * np.tile([1.0, -1.0], cells)[:, None]
    kernels = (np.ones((1, 2 * cells)), outputs)
    return Network(kernels, (-ends.ravel(), np.eye(cells + 1)[0]), error=0.0)


def half_space(normal: Numbers, offset: RealScalar = 0.0, *, width: RealScalar) -> Network:
    r"""Return the indicator of the half-space $w \cdot x + b \ge 0$, with a ramp where it jumps.

    The network is $\sigma(u / \delta) - \sigma(u / \delta - 1)$ with $u = w \cdot x + b$: it differs from the
    indicator for $0 \le u < \delta$ only.

    Args:
        normal: The vector $w$, `(inputs,)`.
        offset: The number $b$.
        width: The ramp's width $\delta$ in $u$, positive.

    Returns:
        The network, with one hidden layer of two neurons.

    Raises:
        ValueError: If the width is not positive.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> relu.apply(relu.half_space((1, -1), width=0.01), np.float32([[0.3, 0.2], [0.2, 0.3]]))[:, 0]
        Array([1., 0.], dtype=float32)

    References:
        Petersen and Voigtlaender, Optimal approximation of piecewise smooth functions using deep ReLU neural
        networks, 2018.
    """
    normal = double(normal)
    checks.axes("normal", normal, "inputs")
    checks.positive("width", width)
    kernel = np.stack([normal, normal], axis=1) / width
    biases = (offset / width - double([0, 1]), np.zeros(1))
    return Network((kernel, double([[1], [-1]])), biases)


def box(low: Numbers, high: Numbers, *, width: RealScalar) -> Network:
    r"""Return the indicator of a box, $1[l_i \le x_i < h_i \text{ for all } i]$, with ramps where it jumps.

    A second layer takes the product of the indicators $v_i$ of the $d$ intervals as
    $\sigma(\sum_i v_i - d + 1)$, exact where they are 0 or 1. Haar's wavelets are sums of boxes.

    Args:
        low: The lower ends $l_i$, `(inputs,)`.
        high: The upper ends $h_i$, each above the lower one.
        width: The ramps' width $\delta$, positive; each begins at an end of the box.

    Returns:
        The network, with two hidden layers of $4d$ neurons and of one.

    Raises:
        ValueError: If the box is empty, its ends are not as many, or the width is not positive.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> quarter = relu.box((0, 0), (0.5, 0.5), width=1e-3)
        >>> relu.apply(quarter, np.float32([[0.25, 0.25], [0.25, 0.75]]))[:, 0]
        Array([1., 0.], dtype=float32)

    References:
        Petersen and Voigtlaender, Optimal approximation of piecewise smooth functions using deep ReLU neural
        networks, 2018.
    """
    low, high = double(low), double(high)
    checks.axes("low", low, "inputs")
    checks.axes("high", high, "inputs", sizes=low.shape)
    if not (low < high).all():
        raise ValueError(f"high is {high.tolist()} for low {low.tolist()}: take a larger number for each")
    checks.positive("width", width)
    # Two neurons for the ramp at each end: those at the lower one rise, those at the upper one fall.
    kernel = np.repeat(np.eye(len(low)), 4, axis=1) / width
    ends = np.stack([low, low + width, high, high + width], axis=1).ravel()
    into_one = np.tile([1.0, -1.0, -1.0, 1.0], len(low))[:, None]
    biases = (-ends / width, double([1 - len(low)]), np.zeros(1))
    return Network((kernel, into_one, np.ones((1, 1))), biases)


def horizon(boundary: Network, *, width: RealScalar) -> Network:
    r"""Return the horizon function $1[x_1 + \gamma(x_2, \dots, x_d) \ge 0]$, with a ramp where it jumps.

    Args:
        boundary: The network of $\gamma$, with $d - 1$ inputs and one output.
        width: The ramp's width $\delta$ along $x_1$, positive. The $L^2$ error over a cube of unit sides is
            at most $(\int |\gamma - \tilde\gamma| + \delta)^{1/2}$ for the network $\tilde\gamma$ of a
            boundary $\gamma$.

    Returns:
        The network of $d$ inputs, two layers deeper than that of the boundary where that has hidden layers.

    Raises:
        ValueError: If the boundary has several outputs, or the width is not positive.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> wedge = relu.horizon(relu.interpolant((-1, 0, 1), (-1, 0, -1)), width=0.01)
        >>> relu.apply(wedge, np.float32([[0.3, 0.2], [0.1, 0.2]]))[:, 0]
        Array([1., 0.], dtype=float32)

    References:
        Petersen and Voigtlaender, Optimal approximation of piecewise smooth functions using deep ReLU neural
        networks, 2018.
    """
    if boundary.widths[-1] != 1:
        raise ValueError(f"boundary has {boundary.widths[-1]} outputs: take a network of one output")
    beside = parallel(identity(1), boundary)
    made = compose(half_space((1, 1), width=width), beside)
    return Network(made.kernels, made.biases)


def linear_wavelet() -> Network:
    r"""Return the piecewise linear wavelet with two vanishing moments, supported on $[-1, 2]$.

    It is $\psi(x) = \phi(2x - 1) - \phi(x) / 4 - \phi(x - 1) / 4$ with the hat function
    $\phi(x) = \max(1 - |x|, 0)$; its dilates and translates are a Riesz basis of $L^2$.

    Returns:
        The network of one input, with one hidden layer of seven neurons.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> relu.apply(relu.linear_wavelet(), np.float32([[0.5], [0.0], [2.0]]))[:, 0]
        Array([ 0.75, -0.25,  0.  ], dtype=float32)

    References:
        Cohen, Daubechies and Feauveau, Biorthogonal bases of compactly supported wavelets, 1992.
    """
    values = double([0, -1, -2, 6, -2, -1, 0, 0]) / 8
    return interpolant(np.arange(-2, 6) / 2, values)


def affine_system(
    generator: Network,
    matrices: Numbers,
    shifts: Numbers,
    coefficients: Numbers,
) -> Network:
    r"""Return a sum of dilates and translates, $\sum_i c_i |\det A_i|^{1/2} \psi(A_i x - b_i)$.

    Wavelets, ridgelets, curvelets and shearlets are such systems: the atoms differ in the first layer only,
    so that a sum of $n$ atoms has $n$ times the weights of one, whatever the scale.

    Args:
        generator: The network of $\psi$, with $d$ inputs.
        matrices: The matrices $A_i$, `(atoms, d, d)`.
        shifts: The vectors $b_i$, `(atoms, d)`.
        coefficients: The numbers $c_i$, `(atoms,)`.

    Returns:
        The network. Its error, where that of the generator is certified, is the sum over the atoms.

    Raises:
        ValueError: If the shapes do not fit, or there is no atom.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> atoms = relu.affine_system(relu.linear_wavelet(), np.full((2, 1, 1), 4.0), [[0], [3]], [1, -1])
        >>> relu.apply(atoms, np.float32([[0.125], [0.875]]))[:, 0]
        Array([ 1.5, -1.5], dtype=float32)

    References:
        Bölcskei, Grohs, Kutyniok and Petersen, Optimal approximation with sparsely connected deep neural
        networks, 2019.
    """
    d = generator.widths[0]
    matrices, shifts, coefficients = double(matrices), double(shifts), double(coefficients)
    checks.axes("coefficients", coefficients, "atoms")
    checks.axes("matrices", matrices, "atoms", "d", "d", sizes=(len(coefficients), d, d))
    checks.axes("shifts", shifts, "atoms", "d", sizes=(len(coefficients), d))
    weights = coefficients * np.sqrt(np.abs(np.linalg.det(matrices)))
    atoms = [compose(generator, affine(matrix.T, -shift)) for matrix, shift in zip(matrices, shifts)]
    return add(*atoms, coefficients=weights)
