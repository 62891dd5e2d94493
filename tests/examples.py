"""The table of public functions with sample arguments: one row each, and what applies to it.

The rows lie beside the tests of each module, in files `examples_*.py`: each has a list `EXAMPLES`, and a
dictionary `NOT_TRACED` of functions that have no row, with the reason. Here they are gathered.

`tests/test_examples.py` takes every row through jit, vmap, grad against finite differences, double
precision, export and eight devices. A form that does not apply says why, in words, instead of `True`.
"""

import importlib
from pathlib import Path

from tests.example_rows import Example

__all__ = ["EXAMPLES", "NOT_TRACED", "Example"]

HERE = Path(__file__).parent

MODULES = [
    importlib.import_module(".".join(("tests", *path.relative_to(HERE).with_suffix("").parts)))
    for path in sorted(HERE.rglob("examples_*.py"))
]

EXAMPLES: list[Example] = [row for module in MODULES for row in module.EXAMPLES]

NOT_TRACED: dict[str, str] = {
    name: reason for module in MODULES for name, reason in module.NOT_TRACED.items()
}
"""Public functions of the theories that take no traced array, each with the reason."""
