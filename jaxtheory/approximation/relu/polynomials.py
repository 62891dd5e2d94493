r"""Polynomials by deep networks: the square is a sum of sawtooth functions, and a product is made of squares.

With $m$ sawtooth functions the square is exact up to $4^{-m-1}$: accuracy grows exponentially in depth, and
size like $\log(1/\epsilon)$.
"""

from collections.abc import Sequence

import numpy as np

from jaxtheory.approximation.relu.calculus import add, affine, compose, identity, parallel
from jaxtheory.approximation.relu.network import Network, Numbers, double, expressible
from jaxtheory.core import checks
from jaxtheory.core.types import RealScalar


def sawtooth(levels: int) -> Network:
    r"""Return the sawtooth function on $[0, 1]$, a tooth $g$ composed with itself: $g \circ \dots \circ g$.

    The tooth $g(x) = 2 \sigma(x) - 4 \sigma(x - 1/2)$ rises from 0 to 1 at $1/2$ and falls to 0.

    Args:
        levels: The number $m$ of teeth that are composed, at least 1.

    Returns:
        The network, with $m$ hidden layers of two neurons and $2^m$ linear pieces on $[0, 1]$.

    Raises:
        TypeError: If the number is not a whole number.
        ValueError: If the number is below 1.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> relu.apply(relu.sawtooth(2), np.float32([[0.0], [0.25], [0.5], [0.75]]))[:, 0]
        Array([0., 1., 0., 1.], dtype=float32)

    References:
        Telgarsky, Representation benefits of deep feedforward networks, 2015.
    """
    levels = checks.count("levels", levels)
    tooth = double([[2], [-4]])
    kernels = (np.ones((1, 2)), *[tooth @ np.ones((1, 2))] * (levels - 1), tooth)
    return Network(kernels, (*[double([0, -0.5])] * levels, np.zeros(1)), error=0.0)


def square(levels: int) -> Network:
    r"""Return a network for $x^2$ on $[0, 1]$: $f_m(x) = x - \sum_{s=1}^m 4^{-s} g_s(x)$.

    Here $g_s$ is the sawtooth function of $2^{s-1}$ teeth. It interpolates the square linearly between the
    points $k / 2^m$, so that its error is $4^{-m-1}$ at all midpoints, and smaller elsewhere. The sums so far
    are at least zero, so that one neuron in each layer carries them.

    Args:
        levels: The number $m$ of sawtooth functions, from 1 to 10, or 25 where x64 is on.

    Returns:
        The network, with $m$ hidden layers of three neurons and the error $4^{-m-1}$.

    Raises:
        TypeError: If the number is not a whole number.
        ValueError: If the dtype cannot express the accuracy.

    Example:
        >>> from jaxtheory.approximation import relu
        >>> relu.square(4).error == 2.0**-10, relu.size(relu.square(4)).neurons
        (True, 12)

    References:
        Yarotsky, Error bounds for approximations with deep ReLU networks, 2017.
    """
    levels = expressible("levels", levels)
    # From two halves of a tooth and the sum so far: the tooth twice, and the sum without its share of it.
    kernels = [np.ones((1, 3))]
    for level in range(1, levels):
        share = 0.25**level
        kernels.append(double([[2, 2, -2 * share], [-4, -4, 4 * share], [0, 0, 1]]))
    kernels.append(double([[-2], [4], [4.0**levels]]) / 4.0**levels)
    biases = (*[double([0, -0.5, 0])] * levels, np.zeros(1))
    return Network(tuple(kernels), biases, error=0.25 ** (levels + 1))


def product(levels: int, *, bound: RealScalar = 1.0, squares: int = 2) -> Network:
    r"""Return a network for the product $x y$ of two numbers from $-B$ to $B$, by squares of their sums.

    Two squares give $x y = B^2 (|x + y| / 2 B)^2 - B^2 (|x - y| / 2 B)^2$, with the error $B^2 4^{-m-1}$.
    Three, in $x y = 2 B^2 [(|x + y| / 2 B)^2 - (|x| / 2 B)^2 - (|y| / 2 B)^2]$, have an error of four times
    that.

    Args:
        levels: The number $m$ of sawtooth functions for each square, from 1 to 10, or 25 where x64 is on.
        bound: The largest absolute value $B$ of both numbers, positive.
        squares: The number of squares, 2 or 3.

    Returns:
        The network of two inputs. It is zero where one of the numbers is.

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If a number is out of range, or the dtype cannot express the accuracy.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> float(relu.apply(relu.product(5), np.float32([0.5, -0.25]))[0])
        -0.125

    References:
        Yarotsky, Error bounds for approximations with deep ReLU networks, 2017.
    """
    levels = expressible("levels", levels)
    checks.positive("bound", bound)
    checks.count("squares", squares, least=2, most=3)
    sums = double([[1, 1], [1, -1]] if squares == 2 else [[1, 1], [1, 0], [0, 1]]) / (2 * bound)
    weights = double([[1], [-1]] if squares == 2 else [[2], [-2], [-2]]) * bound**2
    # Positive and negative parts of each sum, which together are its absolute value.
    parts = np.stack([sums, -sums], 1).reshape(-1, 2).T
    absolute = Network(
        (parts, np.repeat(np.eye(squares), 2, axis=0)), (np.zeros(2 * squares), np.zeros(squares)), error=0.0
    )
    made = compose(affine(weights), compose(parallel(*[square(levels)] * squares), absolute))
    # Squares err upward only, so that errors of opposite signs do not add.
    worst = max(weights[weights > 0].sum(), -weights[weights < 0].sum())
    return Network(made.kernels, made.biases, error=float(worst) * 0.25 ** (levels + 1))


def monomial(exponents: Sequence[int], levels: int) -> Network:
    r"""Return a network for $x_1^{\alpha_1} \cdots x_d^{\alpha_d}$ on $[-1, 1]^d$, a tree of products.

    Args:
        exponents: The exponents $\alpha_i$, whole numbers of 0 or more.
        levels: The number $m$ of sawtooth functions for each square, from 1 to 10, or 25 where x64 is on.

    Returns:
        The network, with about $m \log_2 |\alpha|$ hidden layers and a certified error that follows the tree.

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If there are no exponents, one is negative, or the dtype cannot express the accuracy.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> cubic = relu.monomial((2, 1), 8)
        >>> abs(float(relu.apply(cubic, np.float32([0.5, -0.3]))[0]) + 0.075) <= cubic.error
        True

    References:
        Yarotsky, Error bounds for approximations with deep ReLU networks, 2017.
    """
    levels = expressible("levels", levels)
    exponents = [checks.count("exponents", one, least=0) for one in exponents]
    if not exponents:
        raise ValueError("exponents holds none: take one for each variable")
    factors = np.repeat(np.arange(len(exponents)), exponents)
    if not len(factors):
        return affine(np.zeros((len(exponents), 1)), [1.0])
    network = affine(np.eye(len(exponents))[:, factors])
    errors = [0.0] * len(factors)
    while len(errors) > 1:
        pairs = list(zip(errors[0::2], errors[1::2]))
        # Approximate factors may leave [-1, 1] by their errors.
        stage = [product(levels, bound=1 + max(pair)) for pair in pairs]
        after = [one.error + left + right + left * right for one, (left, right) in zip(stage, pairs)]
        if len(errors) % 2:
            stage.append(identity(1))
            after.append(errors[-1])
        network, errors = compose(parallel(*stage), network), after
    return Network(network.kernels, network.biases, error=errors[0])


def polynomial(coefficients: Numbers, exponents: Sequence[Sequence[int]], levels: int) -> Network:
    r"""Return a network for the polynomial $\sum_k c_k x^{\alpha_k}$ on $[-1, 1]^d$.

    Args:
        coefficients: The coefficients $c_k$, `(terms,)`.
        exponents: The exponents $\alpha_k$ of the variables in each term, whole numbers of 0 or more.
        levels: The number $m$ of sawtooth functions for each square, from 1 to 10, or 25 where x64 is on.

    Returns:
        The network, with the certified error $\sum_k |c_k| \epsilon_k$ of its monomials.

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If there are not as many coefficients as terms, or the dtype cannot express the accuracy.

    Example:
        >>> import numpy as np
        >>> from jaxtheory.approximation import relu
        >>> chebyshev = relu.polynomial((4, -3), ((3,), (1,)), 8)
        >>> abs(float(relu.apply(chebyshev, np.float32([0.3]))[0]) + 0.792) <= chebyshev.error
        True
    """
    return add(*(monomial(one, levels) for one in exponents), coefficients=coefficients)
