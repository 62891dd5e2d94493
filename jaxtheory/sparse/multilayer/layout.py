"""How the layers of a multilayer model fit together: their strides and border, and filters of any stride.

A dictionary of stride `s` is one of stride 1 on images whose blocks of `s` by `s` pixels have become
channels; so everything builds on `jaxtheory.sparse.convolutional`, and no matrix is ever formed.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Real

from jaxtheory.core import checks
from jaxtheory.core.dtypes import real_arrays
from jaxtheory.core.types import AnyArray, Boundary, Reals
from jaxtheory.sparse import convolutional
from jaxtheory.sparse.convolutional.plan import Domain

Layers = Sequence[Real[AnyArray, "..."]]
"""Filters, codes or images, one array a layer."""

PerLayer = Sequence[Reals] | Real[AnyArray, " layers"]
"""For each layer a number, one for each atom, or what broadcasts with the codes."""

Strides = int | Sequence[int]
"""A stride for each layer, or one for all."""


class Layout(NamedTuple):
    """The static facts of the layers, and the computations that follow from them."""

    space: int
    """The number of axes of an image: 2, or 1 for a signal."""
    strides: tuple[int, ...]
    """The step between the places of each layer's atoms."""
    boundary: Boundary
    """What lies beyond the border."""

    @classmethod
    def of(cls, filters: Sequence[Any], strides: Strides, boundary: Boundary = "periodic") -> "Layout":
        """Check that filters follow on each other, and make their layout."""
        if not len(filters):
            raise ValueError("filters is empty: take those of one layer at least")
        for index, one in enumerate(filters):
            if np.ndim(one) not in (3, 4) or np.ndim(one) != np.ndim(filters[0]):
                raise ValueError(
                    f"filters of layer {index + 1} has the shape {np.shape(one)}: take (height, width, "
                    "channels, atoms) in all layers, or (length, channels, atoms) in all"
                )
            if 0 in np.shape(one):
                raise ValueError(
                    f"filters of layer {index + 1} has the shape {np.shape(one)}: take no empty axes"
                )
            if index and np.shape(one)[-2] != np.shape(filters[index - 1])[-1]:
                raise ValueError(
                    f"filters of layer {index + 1} has {np.shape(one)[-2]} channels: take as many as the "
                    f"layer before has atoms, {np.shape(filters[index - 1])[-1]}"
                )
        checks.one_of("boundary", boundary, ("periodic", "zero"))
        return cls(np.ndim(filters[0]) - 2, check_strides(strides, len(filters)), boundary)

    @classmethod
    def prepare(
        cls, filters: Layers, strides: Strides, boundary: Boundary = "periodic", **arrays: Any
    ) -> tuple["Layout", tuple[Array, ...], list[Any], Callable[[Any], Any]]:
        """The layout, filters and other arrays in one dtype, and what gives results the caller's dtype."""
        names = {f"filters of layer {index + 1}": one for index, one in enumerate(filters)}
        found, back = real_arrays(**names, **arrays)
        filters = tuple(found[: len(names)])
        return cls.of(filters, strides, boundary), filters, found[len(names) :], back

    def shapes(self, shape: Sequence[int]) -> list[tuple[int, ...]]:
        """The shapes of the codes of each layer, of an image of the shape given.

        Args:
            shape: The height and width of an image, or the length of a signal.

        Returns:
            A shape for each layer, without the axis of the atoms.

        Raises:
            ValueError: If the strides do not divide the shape.
        """
        step = math.prod(self.strides)
        if any(n % step for n in shape):
            raise ValueError(
                f"shape is {tuple(shape)}, which strides {self.strides} do not divide: crop or pad to "
                f"multiples of {step}"
            )
        return [tuple(n // step for n in shape) for step in np.cumprod(self.strides).tolist()]

    def check_images(self, filters: Sequence[Array], images: Array) -> None:
        """Refuses images that the first layer cannot take, or that strides do not divide."""
        names = ("height", "width") if self.space == 2 else ("length",)
        sizes = [*[None] * self.space, filters[0].shape[-2]]
        checks.axes("images", images, "...", *names, "channels", sizes=sizes)
        self.shapes(images.shape[-self.space - 1 : -1])

    def per_layer(
        self, name: str, values: PerLayer, filters: Sequence[Array], images: Array, *, positive: bool
    ) -> tuple[Array, ...]:
        """Something for each layer that broadcasts with its codes.

        Args:
            name: The parameter's name.
            values: The arguments, as the caller gave them.
            filters: The filters of the layers.
            images: The images that are coded.
            positive: Whether zero is refused as well.

        Returns:
            An array for each layer, of the filters' dtype.

        Raises:
            ValueError: If there are not as many as layers, one does not broadcast, or one is out of range.
            TypeError: If they are not a sequence, or one is not real.
        """
        check_layers(name, values, len(filters), positive=positive)
        lead, found = images.shape[: images.ndim - self.space - 1], []
        shapes = self.shapes(images.shape[-self.space - 1 : -1])
        for index, (value, one, size) in enumerate(zip(values, filters, shapes)):
            shape = (*lead, *size, one.shape[-1])
            try:
                fits = np.broadcast_shapes(np.shape(value), shape) == shape
            except ValueError:
                fits = False
            if not fits:
                raise ValueError(
                    f"{name} of layer {index + 1} has the shape {np.shape(value)}: take a number, one for "
                    f"each atom, or what broadcasts to codes of shape {shape}"
                )
            (value,), _ = real_arrays(**{name: value})
            found.append(value.astype(one.dtype))
        return tuple(found)

    def blocked(self, filters: Sequence[Array]) -> list[Array]:
        """The filters that at stride 1, on images whose blocks are channels, do what these do."""
        return [_blocked(one, stride) for one, stride in zip(filters, self.strides)]

    def analyze(self, filters: Array, x: Array, layer: int) -> Array:
        """What the atoms of one layer find in the codes of the layer before."""
        stride = self.strides[layer]
        split = _split(x, stride, self.space)
        return convolutional.analyze(_blocked(filters, stride), split, boundary=self.boundary)

    def synthesize(self, filters: Array, z: Array, layer: int, domain: Domain = "auto") -> Array:
        """The codes of the layer before that the codes of one layer stand for."""
        stride = self.strides[layer]
        blocked = _blocked(filters, stride)
        blocks = convolutional.synthesize(blocked, z, boundary=self.boundary, domain=domain)
        return _joined(blocks, stride, self.space)

    def down(self, filters: Sequence[Array], codes: Array, domain: Domain = "auto") -> tuple[Array, ...]:
        """The image and all codes that the deepest ones stand for."""
        layers = [codes]
        for layer in reversed(range(len(filters))):
            layers.append(self.synthesize(filters[layer], layers[-1], layer, domain))
        return tuple(reversed(layers))


def check_strides(strides: Strides, layers: int) -> tuple[int, ...]:
    """Strides as a tuple, one for each layer."""
    each = strides if isinstance(strides, Sequence | np.ndarray) else (strides,) * layers
    found = tuple(checks.count("strides", one) for one in each)
    if len(found) != layers:
        raise ValueError(f"strides is {found}: take one number, or one for each of the {layers} layers")
    return found


def check_layers(name: str, values: Any, layers: int | None, *, positive: bool) -> None:
    """Refuses what is not a sequence of numbers, one or more for each layer, that are large enough."""
    values = checks.entries(name, values, "a sequence, with an entry for each layer")
    if layers is not None and len(values) != layers:
        raise ValueError(f"{name} has {len(values)} entries: take one for each of the {layers} layers")
    for index in range(len(values)):
        check = checks.positive if positive else checks.nonnegative
        check(f"{name} of layer {index + 1}", values[index])


def _blocks(kernel: int, stride: int) -> tuple[int, int]:
    """How many blocks of `stride` pixels a filter takes, and how many zeros come before it."""
    anchor, number = (kernel - 1) // 2, 1
    while stride * ((number - 1) // 2) < anchor or stride * (number // 2 + 1) < kernel - anchor:
        number += 1
    return number, stride * ((number - 1) // 2) - anchor


def _blocked(filters: Array, stride: int) -> Array:
    if stride == 1:
        return filters
    space = filters.ndim - 2
    padding = []
    for kernel in filters.shape[:space]:
        number, before = _blocks(kernel, stride)
        padding.append((before, number * stride - kernel - before))
    filters = jnp.pad(filters, [*padding, (0, 0), (0, 0)])
    return jnp.moveaxis(_split(jnp.moveaxis(filters, -1, 0), stride, space), 0, -1)


def _split(x: Array, stride: int, space: int) -> Array:
    """Makes channels of blocks: (..., H, W, channels) to (..., H/s, W/s, s s channels)."""
    if stride == 1:
        return x
    *lead, channels = x.shape
    lead, size = lead[: len(lead) - space], lead[len(lead) - space :]
    x = x.reshape(*lead, *(part for n in size for part in (n // stride, stride)), channels)
    first = len(lead)
    x = jnp.moveaxis(x, [first + 2 * i for i in range(space)], range(first, first + space))
    return x.reshape(*lead, *(n // stride for n in size), channels * stride**space)


def _joined(x: Array, stride: int, space: int) -> Array:
    """Undoes `_split`."""
    if stride == 1:
        return x
    *lead, channels = x.shape
    lead, size = lead[: len(lead) - space], lead[len(lead) - space :]
    x = x.reshape(*lead, *size, *[stride] * space, channels // stride**space)
    first = len(lead)
    x = jnp.moveaxis(x, range(first, first + space), [first + 2 * i for i in range(space)])
    return x.reshape(*lead, *(n * stride for n in size), channels // stride**space)
