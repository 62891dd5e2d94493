"""Rows of the table of examples: layers that are copied and frozen."""

from functools import wraps

from jaxtheory.inspection import transfer
from tests.example_rows import Example, float32

ONE = "one network at a time; many are mapped over, as tests/inspection does"


@wraps(transfer.begin)
def _begin(source, params):
    return transfer.begin("copied and tuned", source, params, transfer.first(params, 1))[0]


EXAMPLES: list[Example] = [
    Example(
        _begin,
        lambda rng: ([float32(rng, 2), float32(rng, 3)], [float32(rng, 2), float32(rng, 3)]),
        leading=(0, 1), vmap=ONE, grad="parameters are copied",
        integer="parameters stay of their dtype", half="parameters stay of their dtype",
    ),
]  # fmt: skip

NOT_TRACED: dict[str, str] = {
    "inspection.transfer.first": "it returns truth values; tests/inspection maps over their number",
    "inspection.transfer.freeze": "it returns an optimizer; tests/inspection trains with it",
    "inspection.transfer.layers": "it returns names",
}
