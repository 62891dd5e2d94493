"""The check without a TPU: what it makes of programs, compiled here for the CPU, and how it fails.

That libtpu compiles them is what `tpu_setup.sh --check` itself shows; here a process stands for its child.
"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import SingleDeviceSharding

from jaxtheory.lab.errors import Failure, Usage
from jaxtheory.lab.machines import programs, tpu_check
from jaxtheory.lab.machines.programs import Program

BENCH = '''
    """Products of matrices."""

    import jax
    import jax.numpy as jnp
    import numpy as np

    from jaxtheory.lab.machines.bench import Case, Contestant

    CASES = [Case("one")]
    CONTESTANTS = {"jaxtheory": Contestant("ours", lambda: lambda: 1.0)}

    def programs():
        x = jax.ShapeDtypeStruct((8, 8), np.float32)
        return {"square": (jax.jit(lambda x: x @ x), (x,)), "sine": (jnp.sin, (x,))}
'''
SPECS = """
    import jax
    import numpy as np
    from jax.experimental import pallas as pl

    def body(x, y):
        y[...] = 2 * x[...]

    def kernel(x):
        return pl.pallas_call(body, out_shape=jax.ShapeDtypeStruct(x.shape, x.dtype))(x)

    def twice(x):
        return jax.lax.platform_dependent(x, tpu=kernel, default=lambda x: 2 * x)

    def programs():
        return {"8 x 128": (twice, (jax.ShapeDtypeStruct((8, 128), np.float32),))}
"""


@pytest.fixture
def folders(tmp_path):
    """A folder of experiments with one bench, and a folder of kernels with one."""
    for path, text in (
        ("experiments/benchmarks/products.py", BENCH),
        ("kernels/twice/specs.py", SPECS),
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True)
        file.write_text(textwrap.dedent(text).lstrip())
    return tmp_path / "experiments", tmp_path / "kernels"


def here(leaf):
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=SingleDeviceSharding(jax.devices()[0]))


def row(function, *arguments, kernel=None, memory=2**34):
    return tpu_check.compiled("one", Program(function, arguments, kernel), here, memory)


def matrix(*shape):
    return jax.ShapeDtypeStruct(shape, np.float32)


def test_a_program_that_compiles_has_figures():
    found = row(
        lambda x, w: jax.lax.fori_loop(0, 9, lambda _, x: jnp.matmul(x, w, precision="highest"), x),
        matrix(16, 32),
        matrix(32, 32),
    )
    assert "fault" not in found
    assert found["arguments"] == 4 * (16 * 32 + 32 * 32)
    assert found["results"] == 4 * 16 * 32
    assert found["flops"] == 9 * 2 * 16 * 32 * 32
    assert found["seconds"] > 0
    text = tpu_check.line({"chip": "v5e", **found})
    assert "v5e  one: compiled in" in text
    assert "FAULT" not in text


def test_a_program_that_does_not_compile_is_a_fault():
    found = row(lambda x: x @ x, matrix(3, 4))
    assert found["fault"].startswith("does not compile: TypeError: dot_general requires contracting")
    assert tpu_check.line({"chip": "v5e", **found}).startswith("v5e  one: FAULT: does not compile")


def test_a_program_larger_than_the_chip_is_a_fault():
    assert (
        row(lambda x: x + 1, matrix(100, 100), memory=40_000)["fault"] == "takes 2.0 times the chip's memory"
    )


def test_a_kernel_that_is_not_used_is_a_fault():
    found = row(lambda x: 2 * x, matrix(8, 128), kernel="twice")
    assert found["fault"] == "no longer holds the kernel twice: there is no tpu_custom_call in it"
    assert not found["holds_kernel"]


def test_a_kernel_lowered_for_a_tpu_is_called_what_is_looked_for(folders):
    [kernel] = programs.kernels(folders[1])
    [(name, program)] = kernel.programs().items()
    assert (name, program.kernel) == ("8 x 128", "twice")
    lowered = jax.jit(program.function).trace(*program.arguments).lower(lowering_platforms=("tpu",))
    assert tpu_check.KERNEL in lowered.as_text()
    lowered = jax.jit(program.function).trace(*program.arguments).lower(lowering_platforms=("cpu",))
    assert tpu_check.KERNEL not in lowered.as_text()


def test_programs_of_benches_and_kernels_are_listed(folders):
    assert list(tpu_check.listed([folders[0]], folders[1], [])) == [
        "products: square", "products: sine", "twice: 8 x 128",
    ]  # fmt: skip
    assert list(tpu_check.listed([folders[0]], folders[1], ["twice"])) == ["twice: 8 x 128"]


def test_an_unknown_program_gets_the_names_that_exist(folders, tmp_path, own_errors):
    with pytest.raises(Usage, match=r"there is no program 'tvice'.*there are products: square, "):
        tpu_check.listed([folders[0]], folders[1], ["tvice"])
    empty = tmp_path / "none"
    (empty / "benchmarks").mkdir(parents=True)
    (empty / "benchmarks" / "bare.py").write_text(
        textwrap.dedent(BENCH).lstrip().partition("def programs")[0]
    )
    with pytest.raises(Usage, match=r"no bench and no kernel lists a program"):
        tpu_check.listed([empty], empty, [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("import numpy as np", "import not_there_at_all"),
            "kernel twice cannot be imported: ModuleNotFound",
        ),
        (("return {", "return 1 / 0, {"), r"programs\(\) of kernel twice fails: ZeroDivisionError"),
    ],
)
def test_a_kernel_whose_specs_fail_is_named(folders, own_errors, change, message):
    file = folders[1] / "twice" / "specs.py"
    file.write_text(file.read_text().replace(*change))
    with pytest.raises(Failure, match=message):
        tpu_check.listed([folders[0]], folders[1], [])


def test_without_libtpu_it_says_where_it_lives(folders, monkeypatch, capsys, own_errors):
    monkeypatch.setattr(tpu_check, "find_spec", lambda _: None)
    given = ["--experiments", str(folders[0])]
    assert tpu_check.main(given) == 3
    assert capsys.readouterr().err == (
        "tpu_check: libtpu is not installed here: run `bash tpu_setup.sh --check`, which keeps it apart\n"
    )
    assert tpu_check.main([*given, "quotients"]) == 2
    assert "there is no program 'quotients'" in capsys.readouterr().err


@pytest.fixture
def answering(monkeypatch, tmp_path, folders):
    """A check whose children are a program that says what it is told to, once for each chip."""

    def answering(code, *arguments):
        child = tmp_path / "child"
        child.write_text(f"#!{sys.executable}\nimport json, os, sys\n{textwrap.dedent(code)}")
        child.chmod(0o755)
        monkeypatch.setattr(tpu_check, "find_spec", lambda _: True)
        monkeypatch.setattr(sys, "executable", str(child))
        given = ["--experiments", str(folders[0]), "--kernels", str(folders[1])]
        return tpu_check.main([*given, *arguments])

    return answering


ROW = {
    "seconds": 1.0, "processor_seconds": 1.0, "temporaries": 5, "arguments": 1, "results": 1, "share": 0.5,
    "flops": 2e9, "unknown_loops": 0, "holds_kernel": True, "kernel": None,
}  # fmt: skip
GOOD = f"""
    for name in ("products: square", "products: sine", "twice: 8 x 128"):
        print(json.dumps({{"name": name, **{ROW}}}), flush=True)
"""


def test_each_chip_has_a_process_and_each_program_a_line(answering, capsys):
    assert answering(GOOD) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7
    assert lines[-1].startswith("6 of 6 programs compile as they should")
    assert sum(line.startswith("v6e  ") for line in lines) == 3
    assert sum("2.00 GFLOP, tpu_custom_call" in line for line in lines) == 6


def test_json_is_all_that_is_printed_with_it(answering, capsys):
    assert answering(GOOD, "--json", "--chip", "v6e") == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["chip"] for row in rows] == ["v6e"] * 3


def test_a_fault_of_one_program_fails_the_check(answering, capsys):
    bad = GOOD.replace(
        "print", "print(json.dumps({'name': name, 'fault': 'is bad'})) if name[0] == 't' else print"
    )
    assert answering(bad, "--chip", "v5e") == 3
    printed = capsys.readouterr()
    assert "2 of 3 programs compile as they should" in printed.out
    assert printed.err == "tpu_check: v5e, twice: 8 x 128: is bad\n"


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("sys.exit('libtpu is too old')", "for v5e ended with status 1: libtpu is too old"),
        ("os.kill(os.getpid(), 9)", "for v5e ended with status -9: nothing"),
        ("print('quiet')", "for v5e ended with status 0: quiet"),  # and has not compiled all
    ],
)
def test_a_compiler_that_ends_before_its_time_fails_the_check(answering, capsys, code, message):
    assert answering(code, "--chip", "v5e") == 3
    assert message in capsys.readouterr().err


def test_each_chip_is_told_to_libtpu():
    v5e, v6e = (tpu_check.environment(tpu_check.CHIPS[name]) for name in ("v5e", "v6e"))
    assert (v5e["TPU_ACCELERATOR_TYPE"], v6e["TPU_ACCELERATOR_TYPE"]) == ("v5litepod-4", "v6e-4")
    assert v5e["JAX_PLATFORMS"] == "cpu"
    assert v5e["JAX_ENABLE_COMPILATION_CACHE"] == "false"  # what is read back was not compiled
    # Sixteen and thirty-two gigabytes: Google Cloud's pages on both.
    assert [chip.memory / 2**30 for chip in tpu_check.CHIPS.values()] == [16, 32]


@pytest.mark.beyond
def test_the_command_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "jaxtheory.lab.machines.tpu_check", "--chip", "v1"],
        capture_output=True, text=True, check=False, env={**os.environ, "JAX_PLATFORMS": "cpu"},
        cwd=Path(__file__).parents[3],
    )  # fmt: skip
    assert done.returncode == 2
    assert "invalid choice: 'v1'" in done.stderr
