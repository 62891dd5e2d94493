"""Trees and acyclic graphs that say what is composed of what."""

from collections.abc import Sequence
from typing import Any

from jaxtheory.core import checks
from jaxtheory.core.records import record, static


@record
class Graph:
    """An acyclic graph of constituents; the last node is the function."""

    inputs: int = static()
    """The number of leaves, which are numbered from 0."""
    nodes: tuple[tuple[int, ...], ...] = static()
    """What each node takes: leaves, and nodes before it, which are numbered on from `inputs`."""


def binary_tree(inputs: int) -> Graph:
    """Return the tree that joins neighbors by twos; where their number is odd, the last one is passed on.

    Args:
        inputs: The number of leaves, at least 2.

    Returns:
        The graph, of `inputs - 1` nodes.

    Raises:
        TypeError: If `inputs` is not a whole number.
        ValueError: If it is below 2.

    Example:
        >>> binary_tree(4).nodes
        ((0, 1), (2, 3), (4, 5))

    References:
        Poggio, Mhaskar, Rosasco, Miranda and Liao, Why and when can deep, but not shallow, networks avoid the
        curse of dimensionality, 2017.
    """
    level = list(range(checks.count("inputs", inputs, least=2)))
    nodes: list[tuple[int, ...]] = []
    while len(level) > 1:
        joined = []
        for pair in zip(level[::2], level[1::2]):
            joined.append(inputs + len(nodes))
            nodes.append(pair)
        level = joined + level[2 * len(joined) :]
    return Graph(inputs=int(inputs), nodes=tuple(nodes))


def from_tree(tree: Sequence[Any]) -> Graph:
    """Return the graph of a tree that is written as nested tuples of leaves, as `((0, 1), 2)`.

    Args:
        tree: The tree: a tuple of leaves, which are whole numbers from 0, and of trees.

    Returns:
        The graph.

    Raises:
        TypeError: If a part is neither a whole number nor a tuple.
        ValueError: If the leaves are not 0, 1, ... each once, or a part is empty.

    Example:
        >>> from_tree(((0, 1), 2, (3, 4))).nodes
        ((0, 1), (3, 4), (5, 2, 6))
    """
    leaves: list[int] = []

    def collect(part: Any) -> None:
        if isinstance(part, tuple | list):
            if not part:
                raise ValueError("tree has an empty part: take tuples of at least one leaf or tree")
            for one in part:
                collect(one)
        else:
            leaves.append(checks.count("tree", part, least=0))

    if not isinstance(tree, tuple | list):
        raise TypeError(f"tree is {tree!r:.40}: take nested tuples of leaves, as ((0, 1), 2)")
    collect(tree)
    if sorted(leaves) != list(range(len(leaves))):
        raise ValueError(f"tree has the leaves {sorted(leaves)}: take each of 0 to {len(leaves) - 1} once")
    nodes: list[tuple[int, ...]] = []

    def number(part: Any) -> int:
        if not isinstance(part, tuple | list):
            return int(part)
        taken = tuple(number(one) for one in part)
        nodes.append(taken)
        return len(leaves) + len(nodes) - 1

    number(tree)
    return Graph(inputs=len(leaves), nodes=tuple(nodes))


def shared(inputs: int, sets: Sequence[Sequence[int]]) -> Graph:
    r"""Return the graph of $h(g_1(x_{S_1}), \dots, g_l(x_{S_l}))$ with sets that may overlap.

    Args:
        inputs: The number of leaves.
        sets: The sets $S_1, \dots, S_l$ of leaves, none of them empty.

    Returns:
        The graph, of $l + 1$ nodes.

    Raises:
        TypeError: If a number is not a whole number.
        ValueError: If there is no set, or one is empty or has a leaf that is out of range.

    Example:
        >>> shared(5, ((0, 1, 2), (2, 4))).nodes
        ((0, 1, 2), (2, 4), (5, 6))
    """
    inputs = checks.count("inputs", inputs)
    if not sets or not all(sets):
        raise ValueError(f"sets are {sets!r:.40}: take at least one, each of at least one leaf")
    nodes = [tuple(checks.count("sets", leaf, least=0, most=inputs - 1) for leaf in one) for one in sets]
    return Graph(inputs=inputs, nodes=(*nodes, tuple(range(inputs, inputs + len(nodes)))))
