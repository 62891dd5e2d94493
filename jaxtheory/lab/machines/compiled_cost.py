"""What a compiled program costs, its loops multiplied out.

The compiler's own analysis counts a loop's body once, however often it runs. What the further rounds cost is
read from the program's text: two operations for each multiplication and addition of a contraction, one for
each element of anything else that is computed, and as bytes what each operation reads and writes, wherever it
lies. A Pallas call costs what its author declares.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

BITS = {"pred": 8, "bf16": 16, "f16": 16, "c64": 64, "c128": 128}
MOVES = {
    "bitcast", "bitcast-convert", "broadcast", "concatenate", "constant", "copy", "copy-done", "copy-start",
    "dynamic-slice", "dynamic-update-slice", "gather", "get-tuple-element", "iota", "pad", "parameter",
    "reshape", "reverse", "slice", "transpose", "tuple",
}  # fmt: skip
"""Operations that compute nothing."""
NOWHERE = {
    "bitcast", "call", "call-done", "call-start", "conditional", "constant", "get-tuple-element", "parameter",
    "tuple", "while",
}  # fmt: skip
"""Operations that read and write nothing themselves."""

_CALLS = ("call", "call-start", "async-start")

_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.-]+) \(.*\{$")
_INSTRUCTION = re.compile(r"^\s+(ROOT )?%?([\w.-]+) = (\(.*?\)|\S+) ([\w-]+)\((.*)$", re.DOTALL)
_SHAPE = re.compile(r"\b([a-z]+\d*\w*)\[([\d,]*)\]")
_CALLED = re.compile(r"(?:calls|to_apply|body|condition|true_computation|false_computation)=%?([\w.-]+)")


class Cost(NamedTuple):
    """Floating-point operations and bytes moved."""

    flops: float = 0.0
    bytes: float = 0.0

    def plus(self, other: "Cost", times: int = 1) -> "Cost":
        """This and so many times another."""
        return Cost(self.flops + times * other.flops, self.bytes + times * other.bytes)


@dataclass(frozen=True)
class Instruction:
    """A line of a program's text."""

    name: str
    shapes: tuple[tuple[str, tuple[int, ...]], ...]  # type and dimensions of each part of the result
    opcode: str
    operands: tuple[str, ...]
    text: str  # what follows the opcode
    root: bool

    @property
    def elements(self) -> int:
        """Elements of the result."""
        return sum(math.prod(dimensions) for _, dimensions in self.shapes)

    @property
    def bytes(self) -> int:
        """Bytes of the result."""
        return sum(_bits(kind) * math.prod(dimensions) // 8 for kind, dimensions in self.shapes)


@dataclass
class Analysis:
    """A program's text, read."""

    text: str
    entry: str = ""
    computations: dict[str, dict[str, Instruction]] = field(default_factory=dict)
    unknown_loops: int = 0
    """Loops whose number of rounds could not be read: they are counted as one."""

    def __post_init__(self):
        for name, is_entry, lines in _computations(self.text):
            self.computations[name] = {one.name: one for one in map(_instruction, lines) if one}
            if is_entry:
                self.entry = name

    def cost(self, *, once: bool = False) -> Cost:
        """What the program costs; `once` counts each loop's body once, as the compiler does."""
        self.unknown_loops = 0
        return self._of(self.entry, once=once, moves=True)

    def _of(self, name: str, *, once: bool, moves: bool) -> Cost:
        total = Cost()
        instructions = self.computations[name]
        for one in instructions.values():
            called = self._called(one)
            if one.opcode == "while":
                rounds = 1 if once else self._rounds(one)
                for part in called:
                    total = total.plus(self._of(part, once=once, moves=moves), rounds)
            elif one.opcode == "conditional":  # the dearest branch
                branches = [self._of(part, once=once, moves=moves) for part in called]
                total = total.plus(max(branches, default=Cost()))
            elif one.opcode in ("fusion", *_CALLS):
                for part in called:
                    inside = moves and one.opcode != "fusion"
                    total = total.plus(self._of(part, once=once, moves=inside))
            else:
                total = total.plus(Cost(_flops(one, instructions)))
            if moves and one.opcode not in NOWHERE:
                total = total.plus(Cost(0.0, self._traffic(one, instructions)))
        return total

    def _called(self, one: Instruction) -> list[str]:
        """The computations that an instruction runs, apart from what a reduction applies to each element."""
        if one.opcode == "conditional" and (
            branches := re.search(r"branch_computations=\{(.*?)\}", one.text)
        ):
            return [name.strip().lstrip("%") for name in branches[1].split(",")]
        if one.opcode in ("while", "fusion", "conditional", *_CALLS):
            return [name for name in _CALLED.findall(one.text) if name in self.computations]
        return []

    def _rounds(self, loop: Instruction) -> int:
        """How often a loop's body runs."""
        if known := re.search(r'"known_trip_count":\{"n":"(\d+)"', loop.text):
            return int(known[1])
        # JAX's loops of a known length count from zero, and go on while the count is less than a constant.
        condition = self.computations[re.search(r"condition=%?([\w.-]+)", loop.text)[1]]
        root = next(one for one in condition.values() if one.root)
        less = [root] if root.opcode == "compare" else self._inside(root)
        if len(less) == 1 and "direction=LT" in less[0].text:
            limits = [
                one for one in condition.values() if one.opcode == "constant" and one.shapes[0][0][0] in "su"
            ]
            if len(limits) == 1 and (number := re.match(r"(\d+)\)", limits[0].text)):
                return int(number[1])
        self.unknown_loops += 1
        return 1

    def _inside(self, fusion: Instruction) -> list[Instruction]:
        """The comparisons in what an instruction calls."""
        return [
            one
            for name in self._called(fusion)
            for one in self.computations[name].values()
            if one.opcode == "compare"
        ]

    def _traffic(self, one: Instruction, around: Mapping[str, Instruction]) -> int:
        """Bytes that an instruction reads and writes."""
        sizes = [around[name].bytes if name in around else 0 for name in one.operands]
        if one.opcode in ("dynamic-slice", "slice", "gather"):
            return 2 * one.bytes
        if one.opcode == "dynamic-update-slice":
            return 2 * sizes[1]
        if one.opcode != "fusion":
            return sum(sizes) + one.bytes
        inside = self.computations[self._called(one)[0]]
        parameters = {
            int(re.match(r"(\d+)\)", part.text)[1]): part
            for part in inside.values()
            if part.opcode == "parameter"
        }
        read = sum(_read(parameters[i], inside, size) for i, size in enumerate(sizes) if i in parameters)
        return read + _written(inside, one.bytes)


def _bits(kind: str) -> int:
    return BITS.get(kind) or int((re.findall(r"\d+", kind) or ["0"])[0])


def _computations(text: str) -> Iterator[tuple[str, bool, list[str]]]:
    """Name, whether it is the entry, and the instructions of each computation; some go over several lines."""
    name, is_entry, lines = "", False, []
    for line in text.splitlines():
        if not name:
            if found := _COMPUTATION.match(line):
                name, is_entry, lines = found[2], bool(found[1]), []
        elif line == "}" or line.startswith("}, execution_thread="):
            yield name, is_entry, lines
            name = ""
        elif _INSTRUCTION.match(line):
            lines.append(line)
        elif lines:
            lines[-1] += f"\n{line}"


def _instruction(line: str) -> Instruction | None:
    root, name, shape, opcode, rest = _INSTRUCTION.match(line).groups()
    depth, end = 1, len(rest)
    for i, letter in enumerate(rest):
        depth += (letter == "(") - (letter == ")")
        if depth == 0:
            end = i
            break
    shapes = tuple(
        (kind, tuple(int(size) for size in sizes.split(",") if size)) for kind, sizes in _SHAPE.findall(shape)
    )
    return Instruction(name, shapes, opcode, tuple(re.findall(r"%([\w.-]+)", rest[:end])), rest, bool(root))


def _flops(one: Instruction, around: Mapping[str, Instruction]) -> float:
    if one.opcode in MOVES or one.opcode in NOWHERE:
        return 0.0
    if one.opcode == "dot":
        left = around[one.operands[0]].shapes[0][1]
        contracted = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", one.text)[1]
        return 2.0 * one.elements * math.prod(left[int(axis)] for axis in contracted.split(",") if axis)
    if one.opcode == "convolution":
        labels = re.search(r"dim_labels=\w+_(\w+)->", one.text)[1]
        kernel = around[one.operands[1]].shapes[0][1]
        # All of the kernel but its output features; what padding spares is counted too.
        return 2.0 * one.elements * math.prod(size for size, label in zip(kernel, labels) if label != "o")
    if one.opcode == "fft":
        length = math.prod(
            int(size) for size in re.search(r"fft_length=\{([\d,]*)\}", one.text)[1].split(",")
        )
        return 5.0 * one.elements * math.log2(max(length, 2))
    if one.opcode in ("reduce", "reduce-window"):
        return float(sum(around[name].elements for name in one.operands[: len(one.operands) // 2]))
    if one.opcode == "custom-call":
        return float(declared(one.text).get("flops", 0))
    return float(one.elements) if any(kind[0] in "fbc" for kind, _ in one.shapes) else 0.0


def declared(text: str) -> dict[str, Any]:
    """What the author of a Pallas call says that it costs."""
    found = re.search(r'"cost_estimate":\s*(\{[^{}]*\})', text)
    return json.loads(found[1]) if found else {}


def _users(one: Instruction, inside: Mapping[str, Instruction]) -> list[Instruction]:
    return [other for other in inside.values() if one.name in other.operands]


def _read(parameter: Instruction, inside: Mapping[str, Instruction], size: int) -> int:
    """Bytes of a fusion's operand that it reads: a part only, where it slices it or writes into it."""
    users = _users(parameter, inside)
    if users and all(user.opcode in ("dynamic-slice", "slice", "gather") for user in users):
        return min(size, sum(user.bytes for user in users))
    if users and all(
        user.opcode == "dynamic-update-slice" and user.operands[0] == parameter.name for user in users
    ):
        return 0
    return size


def _written(inside: Mapping[str, Instruction], size: int) -> int:
    """Bytes that a fusion writes: a part only of an array that it updates in place."""
    root = next(one for one in inside.values() if one.root)
    while root.opcode == "bitcast":
        root = inside[root.operands[0]]
    if root.opcode == "dynamic-update-slice":
        return inside[root.operands[1]].bytes
    return size


def multiplied(compiled: Any) -> tuple[Cost, int]:
    """The compiler's figures for a compiled program, plus what the further rounds of its loops cost.

    Args:
        compiled: What `jax.jit(...).lower(...).compile()` returns.

    Returns:
        The cost, and the number of loops whose length is not known, which are counted as one round.
    """
    analysis = Analysis(compiled.as_text())
    own = compiled.cost_analysis()
    once, all_rounds = analysis.cost(once=True), analysis.cost()
    counted = Cost(float(own.get("flops", 0.0)), float(own.get("bytes accessed", 0.0)))
    return counted.plus(all_rounds).plus(once, -1), analysis.unknown_loops
