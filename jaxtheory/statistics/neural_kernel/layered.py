r"""Networks on one example as programs, in which dense layers are found.

A weight that meets an input $a$ in a single product, $z = a W$, has the gradient $a \otimes g$, where $g$ is
the gradient with respect to $z$: an inner product of two such gradients is the product of two numbers,
$\langle a, a' \rangle \langle g, g' \rangle$, and the gradient itself is never formed. The products are found
in the program of the network as JAX traces it, whatever library wrote it, and $g$ is the derivative with
respect to a zero that is added to $z$.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun
from jaxtyping import Array, PyTree

CALLS = ("jit", "pjit", "closed_call")
"""Calls of programs whose equations are taken for the caller's."""
OF_ONE = ("convert_element_type", "copy", "neg", "reshape", "squeeze", "transpose")
"""What leaves a weight as it is, up to the order and the signs of its entries."""
LOOPS = ("scan", "while", "cond")
"""What hides how often its operations are done."""


@dataclass
class Network:
    """A network on one example, as a program of its parameters' leaves and of the example."""

    program: ClosedJaxpr
    leaves: int
    """The number of leaves of the parameters."""
    layers: dict[int, tuple[int, int]] = field(default_factory=dict)
    """The dense layers: the number of the equation, to the leaf and its place among the operands."""
    rest: list[int] = field(default_factory=list)
    """The leaves that are in use and are no weights of these layers."""

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return self.program.out_avals[0].size

    @property
    def activations(self) -> int:
        """The number of numbers that all equations compute."""
        return sum(one.aval.size for equation in self.program.eqns for one in equation.outvars)

    def layer_sizes(self) -> list[tuple[int, int]]:
        """Return the numbers of inputs and outputs of each dense layer."""
        found = []
        for number, (leaf, _) in self.layers.items():
            outputs = self.program.eqns[number].outvars[0].aval.size
            found.append((self.program.in_avals[leaf].size // outputs, outputs))
        return found

    def rest_size(self) -> int:
        """Return the number of parameters that do not belong to dense layers."""
        return sum(self.program.in_avals[leaf].size for leaf in self.rest)

    def operations(self) -> float:
        """Count the operations of matrix products and convolutions; infinite where loops hide them."""
        total = 0.0
        for equation in self.program.eqns:
            name = equation.primitive.name
            if name in LOOPS:
                return math.inf
            if name == "dot_general":
                (axes, _), _ = equation.params["dimension_numbers"]
                length = math.prod(equation.invars[0].aval.shape[axis] for axis in axes)
                total += 2 * equation.outvars[0].aval.size * length
            elif name == "conv_general_dilated":
                kernel = equation.invars[1].aval
                places = equation.params["dimension_numbers"].rhs_spec
                total += 2 * equation.outvars[0].aval.size * kernel.size / kernel.shape[places[0]]
        return total

    def run(self, leaves: Sequence[Array], x: Array, added: Sequence[Array]) -> tuple[Array, list[Array]]:
        """Run the network, with numbers added to the outputs of its dense layers.

        Args:
            leaves: The leaves of the parameters.
            x: The example.
            added: What is added in each dense layer, in their order.

        Returns:
            The outputs, and the inputs of each dense layer as vectors, by the factors of its weights.
        """
        jaxpr = self.program.jaxpr
        values = dict(zip(jaxpr.constvars, self.program.consts)) | dict(zip(jaxpr.invars, [*leaves, x]))
        factors = dict.fromkeys(jaxpr.invars[: self.leaves], 1)
        added_to, inputs = dict(zip(self.layers, added)), []

        def read(one: Any) -> Any:
            return one.val if isinstance(one, Literal) else values[one]

        for number, equation in enumerate(jaxpr.eqns):
            operands = [read(one) for one in equation.invars]
            found = _bound(jaxpr, equation, operands)
            if number in self.layers:
                place = self.layers[number][1]
                inputs.append(operands[1 - place].reshape(-1) * factors[equation.invars[place]])
                found = [found[0] + added_to[number].reshape(found[0].shape)]
            elif (place := _weight_place(equation, factors)) is not None:
                factor = factors[equation.invars[place]]
                if len(operands) == 2:
                    scalar = operands[1 - place]
                    factor = factor / scalar if equation.primitive.name == "div" else factor * scalar
                factors[equation.outvars[0]] = factor
            values.update(zip(equation.outvars, found))
        return read(jaxpr.outvars[0]), inputs


def trace(apply: Callable[..., Any], params: PyTree, x: Any, *, layered: bool) -> Network:
    """Return a network on one example as a program.

    Args:
        apply: The function `apply(params, x)` of examples on a leading axis.
        params: The parameters.
        x: One example, of which the shape and dtype count.
        layered: Whether dense layers are looked for.

    Returns:
        The network, whose outputs are a vector.
    """
    leaves, structure = jax.tree.flatten(params)

    def one(*arguments: Any) -> Array:
        outputs = apply(jax.tree.unflatten(structure, arguments[:-1]), arguments[-1][None])
        return outputs[0].reshape(-1)

    nested = jax.make_jaxpr(one)(*leaves, x)
    program = jax.make_jaxpr(lambda *arguments: _inlined(nested, arguments))(*leaves, x)
    network = Network(program, len(leaves))
    used = {one for equation in program.eqns for one in equation.invars if not isinstance(one, Literal)}
    used |= {one for one in program.jaxpr.outvars if not isinstance(one, Literal)}
    network.layers = _dense_layers(network) if layered else {}
    taken = {leaf for leaf, _ in network.layers.values()}
    network.rest = [
        leaf for leaf in range(len(leaves)) if leaf not in taken and program.jaxpr.invars[leaf] in used
    ]
    return network


def _inlined(program: ClosedJaxpr, arguments: Sequence[Any]) -> list[Any]:
    """A program's values, with those of nested calls computed in line."""
    jaxpr = program.jaxpr
    values = dict(zip(jaxpr.constvars, program.consts)) | dict(zip(jaxpr.invars, arguments))

    def read(one: Any) -> Any:
        return one.val if isinstance(one, Literal) else values[one]

    for equation in jaxpr.eqns:
        operands = [read(one) for one in equation.invars]
        name = equation.primitive.name
        if name in CALLS:
            inner = equation.params.get("jaxpr", equation.params.get("call_jaxpr"))
            found = _inlined(inner, operands)
        else:
            found = _bound(jaxpr, equation, operands)
        values.update(zip(equation.outvars, found))
    return [read(one) for one in jaxpr.outvars]


def _bound(jaxpr: Jaxpr, equation: Any, operands: Sequence[Any]) -> Sequence[Any]:
    """The values of one equation, evaluated as a program of its own."""
    given = {one: operand for one, operand in zip(equation.invars, operands) if not isinstance(one, Literal)}
    alone = jaxpr.replace(constvars=[], invars=list(given), outvars=list(equation.outvars), eqns=[equation])
    return jaxpr_as_fun(ClosedJaxpr(alone, []))(*given.values())


def _dense_layers(network: Network) -> dict[int, tuple[int, int]]:
    """The products in which a leaf, up to a factor and the order of its entries, meets one vector, once."""
    jaxpr = network.program.jaxpr
    weights = {one: leaf for leaf, one in enumerate(jaxpr.invars[: network.leaves])}
    uses: Counter[int] = Counter()
    found: dict[int, tuple[int, int]] = {}
    for number, equation in enumerate(jaxpr.eqns):
        places = [k for k, one in enumerate(equation.invars) if _of(one, weights) is not None]
        if not places:
            continue
        if (place := _weight_place(equation, weights)) is not None:
            weights[equation.outvars[0]] = weights[equation.invars[place]]
            continue
        uses.update(weights[equation.invars[place]] for place in places)
        if len(places) == 1 and _is_of_a_vector(equation, places[0]):
            found[number] = (weights[equation.invars[places[0]]], places[0])
    uses.update(weights[one] for one in jaxpr.outvars if _of(one, weights) is not None)
    return {number: layer for number, layer in found.items() if uses[layer[0]] == 1}


def _of(one: Any, weights: dict[Any, Any]) -> Any:
    """What is known of an operand as a weight, if it is one."""
    return None if isinstance(one, Literal) else weights.get(one)


def _weight_place(equation: Any, weights: dict[Any, Any]) -> int | None:
    """The place of a weight among the operands of an equation that only scales or reorders it."""
    name, operands = equation.primitive.name, equation.invars
    places = [k for k, one in enumerate(operands) if _of(one, weights) is not None]
    if len(places) != 1:
        return None
    [place] = places
    scalar = len(operands) == 2 and operands[1 - place].aval.shape == ()
    scales = (name == "mul" and scalar) or (name == "div" and scalar and place == 0)
    real = jnp.issubdtype(equation.outvars[0].aval.dtype, jnp.floating)
    return place if real and (scales or name in OF_ONE) else None


def _is_of_a_vector(equation: Any, place: int) -> bool:
    """Whether an equation is the product of a weight and one vector."""
    if equation.primitive.name != "dot_general":
        return False
    contracted, batched = equation.params["dimension_numbers"]
    other = equation.invars[1 - place].aval
    length = math.prod(other.shape[axis] for axis in contracted[1 - place])
    return not any(batched) and other.size == length
