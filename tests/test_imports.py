"""The law of imports: who may import whom, held against the code."""

import ast
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

THEORIES = {"harmonic", "sparse", "approximation", "landscape", "statistics", "networks", "inspection"}
MAY_IMPORT = {
    "experiments": {"lab", "data", "experiments", "kernels"} | THEORIES,  # a bench times its kernel
    "lab": {"data"},
    "data": set(),
    "core": set(),
    "kernels": {"core"},
    **{theory: {"core", "kernels"} | THEORIES - {theory} for theory in THEORIES},
}


@pytest.fixture(scope="module")
def graph():
    return grimp.build_graph("jaxtheory", cache_dir=None)


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


def python_files() -> set[Path]:
    """The files of the package; the links are walked by name, as rglob does not follow them."""
    package = Path(__file__).parents[1] / "jaxtheory"
    places = (package, package / "kernels", package / "experiments")
    return {path for place in places for path in place.rglob("*.py")}


def test_the_graph_sees_every_module(graph):
    assert len(python_files()) >= 20
    assert len(graph.modules) == len(python_files())


def test_no_arrow_points_up(graph):
    arrows = 0
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            arrows += 1
            one, other = room(importer), room(imported)
            if one and other and one != other:
                assert other in MAY_IMPORT[one], f"{importer} imports {imported}"
    assert arrows > 10


def test_no_circle(graph):
    for module in graph.modules:
        assert module not in graph.find_upstream_modules(module), f"{module} imports itself"
    theories = {room(module) for module in graph.modules} & THEORIES
    for one in theories:
        for other in theories - {one}:
            there = graph.chain_exists(f"jaxtheory.{one}", f"jaxtheory.{other}", as_packages=True)
            back = graph.chain_exists(f"jaxtheory.{other}", f"jaxtheory.{one}", as_packages=True)
            assert not (there and back), f"{one} and {other} import each other"


def test_no_underscored_name_is_imported():
    assert len(python_files()) >= 20
    for path in python_files():
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jaxtheory"):
                names = [*node.module.split("."), *(alias.name for alias in node.names)]
                private = [name for name in names if name.startswith("_") and not name.endswith("__")]
                assert not private, f"{path.name} imports {private[0]} from {node.module}"


def test_no_module_and_function_of_a_theory_share_a_name():
    functions = 0
    for theory in THEORIES | {"data", "core"}:
        place = Path(__file__).parents[1] / "jaxtheory" / theory
        files = [path for path in python_files() if path.is_relative_to(place)]
        modules = {path.parent.name if path.name == "__init__.py" else path.stem for path in files}
        for path in files:
            for node in ast.parse(path.read_bytes()).body:
                if isinstance(node, ast.FunctionDef):
                    functions += 1
                    assert node.name not in modules, f"{path} has the function {node.name}"
    assert functions > 300


def loaded_after(statement: str) -> set[str]:
    """Top-level modules that a statement loads in a fresh interpreter."""
    code = f"import sys; {statement}; print(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_importing_is_light():
    heavy = {"flax", "optax", "matplotlib", "sklearn", "scipy", "rich", "orbax", "torch"}
    assert not loaded_after("import jaxtheory") & (heavy | {"jax"})
    assert not loaded_after("import jaxtheory.lab") & (heavy | {"jax", "xarray"})
    harmonic = loaded_after("import jaxtheory.harmonic.scattering2d")
    assert not harmonic & (heavy - {"scipy"})  # jax itself loads scipy
    landscape = loaded_after("import jaxtheory.landscape.surface, jaxtheory.landscape.connectivity")
    assert not landscape & (heavy - {"scipy"})
