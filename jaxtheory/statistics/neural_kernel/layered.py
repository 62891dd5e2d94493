r"""Networks on one example as programs, in which layers are found.

A weight that meets an input $a$ in a single product, $z = a W$, has the gradient $a \otimes g$, where $g$ is
the gradient with respect to $z$: an inner product of two such gradients is the product of two numbers,
$\langle a, a' \rangle \langle g, g' \rangle$, and the gradient itself is never formed. The kernel of a
convolution meets every patch, and has the sum of such products over the positions. Layers are found in the
program of the network as JAX traces it, whatever library wrote it, and $g$ is the derivative with respect to
zeros that are added to $z$.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, Literal, jaxpr_as_fun
from jaxtyping import Array, PyTree

CALLS = ("jit", "pjit", "closed_call")
"""Calls of programs whose equations are taken for the caller's."""
OF_ONE = ("convert_element_type", "copy", "neg", "reshape", "squeeze", "transpose")
"""What leaves a weight as it is, up to the order and the signs of its entries."""
CONVOLUTION = "conv_general_dilated"
LOOPS = ("scan", "while", "cond")
"""What hides how often its operations are done."""


class Layer(NamedTuple):
    """A dense layer, or a convolution."""

    leaf: int
    """The leaf of the parameters that is its weight."""
    place: int
    """The place of the weight among the operands."""
    positions: int
    """The number of its inputs: one, or the patches of a convolution."""
    outputs: int
    """The number of its outputs at each position."""


@dataclass
class Network:
    """A network on one example, as a program of its parameters' leaves and of the example."""

    program: ClosedJaxpr
    leaves: int
    """The number of leaves of the parameters."""
    layers: dict[int, Layer] = field(default_factory=dict)
    """The layers by the number of their equation."""
    rest: list[int] = field(default_factory=list)
    """The leaves that are in use and are no weights of layers."""

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return self.program.out_avals[0].size

    @property
    def activations(self) -> int:
        """The number of numbers that all equations compute."""
        return sum(one.aval.size for equation in self.program.eqns for one in equation.outvars)

    def layer_size(self, layer: Layer) -> int:
        """Count the numbers that are kept of a layer for each example."""
        size = self.program.in_avals[layer.leaf].size
        if layer.positions > 1:
            return self.outputs * size
        return size // layer.outputs + self.outputs * layer.outputs

    def zeros(self) -> list[Array]:
        """Return what may be added to the outputs of each layer."""
        found = [self.program.eqns[number].outvars[0].aval for number in self.layers]
        return [jnp.zeros(one.shape, one.dtype) for one in found]

    def by_position(self, number: int, values: Array) -> Array:
        """Return numbers in the form of a layer's outputs, on last axes, as (..., positions, outputs)."""
        equation, layer = self.program.eqns[number], self.layers[number]
        form = equation.outvars[0].aval.shape
        front = values.shape[: values.ndim - len(form)]
        if equation.primitive.name == CONVOLUTION:
            channels = equation.params["dimension_numbers"].out_spec[1]
            values = jnp.moveaxis(values, len(front) + channels, -1)
        return values.reshape(*front, layer.positions, layer.outputs)

    def rest_size(self) -> int:
        """Return the number of parameters that do not belong to layers."""
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
            elif name == CONVOLUTION:
                kernel = equation.invars[1].aval
                places = equation.params["dimension_numbers"].rhs_spec
                total += 2 * equation.outvars[0].aval.size * kernel.size / kernel.shape[places[0]]
        return total

    def run(self, leaves: Sequence[Array], x: Array, added: Sequence[Array]) -> tuple[Array, list[Array]]:
        """Run the network, with numbers added to the outputs of its layers.

        Args:
            leaves: The leaves of the parameters.
            x: The example.
            added: What is added in each layer, in their order.

        Returns:
            The outputs, and the inputs of each layer (positions, inputs), times the factor of its weight.
        """
        jaxpr = self.program.jaxpr
        values = dict(zip(jaxpr.constvars, self.program.consts)) | dict(zip(jaxpr.invars, [*leaves, x]))
        factors = dict.fromkeys(_weights(self), 1)
        added_to, inputs = dict(zip(self.layers, added)), []

        def read(one: Any) -> Any:
            return one.val if isinstance(one, Literal) else values[one]

        for number, equation in enumerate(jaxpr.eqns):
            operands = [read(one) for one in equation.invars]
            found = _bound(jaxpr, equation, operands)
            if number in self.layers:
                place = self.layers[number].place
                inputs.append(_inputs(equation, operands[1 - place]) * factors[equation.invars[place]])
                found = [found[0] + added_to[number]]
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
        layered: Whether layers are looked for.

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
    network.layers = _layers(network) if layered else {}
    taken = {layer.leaf for layer in network.layers.values()}
    in_use = [leaf for leaf in range(len(leaves)) if program.jaxpr.invars[leaf] in used]
    # Where nothing is in use, the kernel is zero all the same.
    network.rest = [leaf for leaf in in_use or range(len(leaves)) if leaf not in taken]
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
        elif platforms := equation.params.get("branches_platforms"):
            # What stands for all platforms beside those named is written as the network's author would.
            found = _inlined(equation.params["branches"][platforms.index(None)], operands[1:])
        else:
            found = _bound(jaxpr, equation, operands)
        values.update(zip(equation.outvars, found))
    return [read(one) for one in jaxpr.outvars]


def _bound(jaxpr: Jaxpr, equation: Any, operands: Sequence[Any]) -> Sequence[Any]:
    """The values of one equation, evaluated as a program of its own."""
    given = {one: operand for one, operand in zip(equation.invars, operands) if not isinstance(one, Literal)}
    alone = jaxpr.replace(constvars=[], invars=list(given), outvars=list(equation.outvars), eqns=[equation])
    return jaxpr_as_fun(ClosedJaxpr(alone, []))(*given.values())


def _layers(network: Network) -> dict[int, Layer]:
    """The equations in which a leaf, up to a factor and the order of its entries, is a weight, once."""
    jaxpr = network.program.jaxpr
    weights = _weights(network)
    uses: Counter[int] = Counter()
    found: dict[int, Layer] = {}
    for number, equation in enumerate(jaxpr.eqns):
        places = [k for k, one in enumerate(equation.invars) if _of(one, weights) is not None]
        if not places:
            continue
        if (place := _weight_place(equation, weights)) is not None:
            weights[equation.outvars[0]] = weights[equation.invars[place]]
            continue
        uses.update(weights[equation.invars[place]] for place in places)
        if len(places) == 1 and _is_of_a_vector(equation, places[0]):
            size = equation.outvars[0].aval.size
            found[number] = Layer(weights[equation.invars[places[0]]], places[0], 1, size)
        elif places == [1] and _is_of_one_image(equation):
            outputs = equation.outvars[0].aval
            maps = outputs.shape[equation.params["dimension_numbers"].out_spec[1]]
            found[number] = Layer(weights[equation.invars[1]], 1, outputs.size // maps, maps)
    uses.update(weights[one] for one in jaxpr.outvars if _of(one, weights) is not None)
    return {number: layer for number, layer in found.items() if uses[layer.leaf] == 1}


def _weights(network: Network) -> dict[Any, int]:
    """The leaves that may be weights; a number may scale them, and be a parameter itself."""
    leaves = network.program.jaxpr.invars[: network.leaves]
    return {one: leaf for leaf, one in enumerate(leaves) if one.aval.shape}


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


def _is_of_one_image(equation: Any) -> bool:
    """Whether an equation is a convolution of one image in which every map meets all channels."""
    if equation.primitive.name != CONVOLUTION:
        return False
    options = equation.params
    images = equation.invars[0].aval.shape[options["dimension_numbers"].lhs_spec[0]]
    return images == options["feature_group_count"] == options["batch_group_count"] == 1


def _inputs(equation: Any, operand: Array) -> Array:
    """The inputs of a layer, (positions, inputs)."""
    if equation.primitive.name != CONVOLUTION:
        return operand.reshape(1, -1)
    options = equation.params
    numbers = options["dimension_numbers"]
    kernel = [equation.invars[1].aval.shape[axis] for axis in numbers.rhs_spec[2:]]
    patches = lax.conv_general_dilated_patches(
        operand,
        kernel,
        options["window_strides"],
        options["padding"],
        lhs_dilation=options["lhs_dilation"],
        rhs_dilation=options["rhs_dilation"],
        dimension_numbers=numbers,
        precision=lax.Precision.HIGHEST,
    )
    patches = jnp.moveaxis(patches, numbers.out_spec[1], -1)
    return patches.reshape(-1, patches.shape[-1])
