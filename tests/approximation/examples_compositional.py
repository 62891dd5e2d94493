"""Rows of the table of examples: compositional functions, their interpolants and wired networks."""

import jax

from jaxtheory.approximation import compositional
from tests.example_rows import Example, float32

GRAPH = compositional.binary_tree(4)
TARGET = compositional.init(jax.random.key(0), GRAPH)
SHARP = compositional.init(jax.random.key(0), GRAPH, wave="triangle")
NETWORK = compositional.init_network(jax.random.key(0), GRAPH, width=4, channels=2)
OF_A_FUNCTION = "a function of a whole model, whose sizes depend on the options"

EXAMPLES: list[Example] = [
    Example(
        compositional.apply,
        lambda rng: (TARGET, 0.3 * float32(rng, 4)),
        leading=(1,),
        export=True,
        devices=True,
        name="target",
    ),
    Example(
        compositional.apply,
        lambda rng: (SHARP, 0.3 * float32(rng, 4)),
        leading=(1,),
        export=True,
        name="target of triangle waves",
    ),
    Example(
        compositional.apply,
        lambda rng: (NETWORK, float32(rng, 4)),
        leading=(1,),
        export=True,
        name="wired network",
    ),
    Example(
        compositional.apply,
        lambda rng: (compositional.interpolate(TARGET, 5), 0.3 * float32(rng, 4)),
        leading=(1,),
        half="the cell of a rounded point is another",
        name="interpolant",
    ),
]

NOT_TRACED: dict[str, str] = {
    "approximation.compositional.graphs.binary_tree": "a graph of a size",
    "approximation.compositional.graphs.from_tree": "a graph of nested tuples",
    "approximation.compositional.graphs.shared": "a graph of sets",
    "approximation.compositional.interpolation.cells_needed": OF_A_FUNCTION,
    "approximation.compositional.interpolation.certified_error": OF_A_FUNCTION,
    "approximation.compositional.interpolation.certified_tensor_error": OF_A_FUNCTION,
    "approximation.compositional.interpolation.interpolate": OF_A_FUNCTION,
    "approximation.compositional.interpolation.tensor": OF_A_FUNCTION,
    "approximation.compositional.models.equal_width": "a count of neurons",
    "approximation.compositional.models.init": "a function of a size, from a key",
    "approximation.compositional.models.init_network": "a network of a size, from a key",
    "approximation.compositional.models.size": "a count of numbers",
}
