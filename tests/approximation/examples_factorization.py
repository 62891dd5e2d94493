"""Rows of the table of examples: filters as products of short ones, and convolutional networks."""

import jax

from jaxtheory.approximation import factorization
from tests.example_rows import ONE_MODEL, Example, float32


def _network(rng):
    """A network of two blocks with an input."""
    network = factorization.init(jax.random.key(0), 6, s=2, layers=(3, 1), strides=(4, 1))
    return network, float32(rng, 6)


EXAMPLES: list[Example] = [
    Example(factorization.apply, _network, leading=(1,), export=True, devices=True),
]

NOT_TRACED: dict[str, str] = {
    "approximation.factorization.filters.factorize": "how many factors there are depends on the values",
    "approximation.factorization.filters.residual": "a number computed on the host, in double precision",
    "approximation.factorization.downsampled.chain": f"a network of networks; {ONE_MODEL}",
    "approximation.factorization.downsampled.free_parameters": "a count of parameters",
    "approximation.factorization.downsampled.from_dense": "the depth of the network depends on the values",
    "approximation.factorization.downsampled.from_ridge": "the depth of the network depends on the values",
    "approximation.factorization.downsampled.init": "a network of a size, from a key",
}
