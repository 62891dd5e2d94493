"""The doctor on this machine's CPU, on machines that are made up, and on kernels that are toys."""

import json
import textwrap

import jax
import numpy as np
import pytest

from jaxtheory.lab.commands import main
from jaxtheory.lab.machines import doctor, faults
from tests.lab import made_experiments as made

BENCH = '''
    """Products of matrices."""

    import jax.numpy as jnp
    import numpy as np

    from jaxtheory.lab.machines.bench import Case, Contestant
    from jaxtheory.lab.machines.programs import Check

    CASES = [Case("one")]
    CONTESTANTS = {"jaxtheory": Contestant("ours", lambda: lambda: 1.0)}
    x = np.random.default_rng(0).random((32, 48))

    def product(x, w):
        return jnp.matmul(x, w, precision="highest")

    def checks():
        return {"product": Check(product, (x, x.T)), "counts": Check(jnp.cumsum, (np.arange(9),))}
'''
SPECS = """
    from functools import partial

    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax.experimental import pallas as pl

    from jaxtheory.lab.machines.programs import Check

    def body(x, y):
        y[...] = 2 * x[...]

    def kernel(x):
        return pl.pallas_call(body, out_shape=jax.ShapeDtypeStruct(x.shape, x.dtype))(x)

    def reference(x):
        return 2 * x

    def twice(x, implementation=None):
        if implementation is None:
            return jax.lax.platform_dependent(x, tpu=kernel, default=reference)
        return {"tpu": kernel, "reference": reference}[implementation](x)

    def checks():
        return {"8 x 128": Check(twice, (np.arange(1024.0).reshape(8, 128),))}
"""
FINE = "x.dtype == jnp.float64"


@pytest.fixture
def folders(tmp_path):
    """A folder of experiments with one bench, and a folder of kernels with none."""
    file = tmp_path / "made" / "benchmarks" / "products.py"
    file.parent.mkdir(parents=True)
    file.write_text(textwrap.dedent(BENCH).lstrip())
    (tmp_path / "kernels").mkdir()
    return tmp_path


@pytest.fixture
def examine(folders):
    """What the doctor reports, after a change to the bench."""

    def examine(change=("", "")):
        file = folders / "made" / "benchmarks" / "products.py"
        file.write_text(file.read_text().replace(*change))
        return doctor.examine([folders / "made"], folders / "kernels")

    return examine


@pytest.fixture
def kernel_rows(folders):
    """What the doctor finds of a toy kernel, after a change to it: a row, of the only kind of device."""

    def kernel_rows(change=("", "")):
        file = folders / "kernels" / "twice" / "specs.py"
        file.parent.mkdir()
        file.write_text(textwrap.dedent(SPECS).lstrip().replace(*change))
        return doctor.examine([folders / "made"], folders / "kernels")

    return kernel_rows


def serious(report):
    """The faults that stop something: what experiments need may be missing where a theory is developed."""
    return [fault for fault in report["faults"] if not fault["harmless"]]


def test_a_machine_that_is_well(examine, bare):
    report = examine()
    assert doctor.is_well(report)
    assert report["kernels"] == serious(report) == []
    assert [one["platform"] for one in report["devices"]] == ["cpu"] * 8
    assert report["versions"]["jax"] == jax.__version__
    assert report["memory"] > 2**28
    products = [row for row in report["programs"] if row["name"] == "products: product"]
    assert [row["device"] for row in products] == [str(device) for device in jax.devices()]
    for row in products:
        # Rounding to float32 is seen, and is all that there is.
        assert 1e-9 < row["difference"] < 48 * np.finfo(np.float32).eps
        assert row["first_call"] > 0
        assert row["steady"] > 0
    assert {row["difference"] for row in report["programs"]} - {row["difference"] for row in products} == {0}


def test_the_report_is_read_by_people(examine, bare):
    report = examine()
    text = doctor.text(report)
    for part in ("machine: ", "versions: python 3.", ", jax ", "kernels:\n  there are none", "all is well ("):
        assert part in text
    assert "  products: product, " in text
    assert "differs by " in text


def test_numbers_that_differ_are_a_fault(examine, bare):
    report = examine(('precision="highest")', f'precision="highest") * (1 if {FINE} else 1.01)'))
    assert not doctor.is_well(report)
    bad = [row for row in report["programs"] if "error" in row]
    assert len(bad) == 8
    assert bad[0]["error"] == (
        "differs from the CPU's float64 by 1.0e-02 of the largest value, more than 0.0001"
    )
    text = doctor.text(report)
    assert "FAULT: differs from the CPU's float64" in text
    assert "report it with what `jaxtheory doctor --json` prints" in text
    assert "NOT WELL" in text


def test_numbers_that_are_none_are_a_fault(examine, bare):
    report = examine(('precision="highest")', f'precision="highest") * (1 if {FINE} else jnp.nan)'))
    [error] = {row["error"] for row in report["programs"] if "error" in row}
    assert error.startswith("differs from the CPU's float64 by nan")


@pytest.mark.parametrize(
    ("raised", "remedy"),
    [
        ('NotImplementedError("no such thing")', "lacks an operation: pip install -U jax"),
        ('RuntimeError("RESOURCE_EXHAUSTED: out of memory")', "another process holds the device's memory"),
        ('ValueError("odd")', "report it with what"),
    ],
)
def test_a_program_that_does_not_run_is_a_fault_with_a_remedy(examine, bare, raised, remedy):
    report = examine(("return jnp", f"if not {FINE}:\n        raise {raised}\n    return jnp"))
    bad = [row for row in report["programs"] if "error" in row]
    assert len(bad) == 8
    assert bad[0]["error"] == raised.replace('("', ": ").replace('")', "")
    assert remedy in bad[0]["do"]
    assert sum("difference" in row for row in report["programs"]) == 8  # the others go on


def test_a_reference_that_fails_is_a_fault_of_its_own(examine, bare):
    report = examine(("return jnp", "raise ValueError('odd')\n    return jnp"))
    [bad] = [row for row in report["programs"] if "error" in row]
    assert (bad["device"], bad["error"]) == ("the CPU in float64", "ValueError: odd")


def test_a_bench_that_cannot_be_read_is_a_fault(examine, bare):
    report = examine(("import numpy as np", "import not_there_at_all"))
    [fault] = serious(report)
    assert "cannot be imported: ModuleNotFoundError" in fault["what"]
    assert not doctor.is_well(report)


def test_a_kernel_runs_interpreted_where_there_is_no_tpu(kernel_rows, bare):
    report = kernel_rows()
    [row] = report["kernels"]
    assert (row["kernel"], row["name"], row["runs"], row["difference"]) == (
        "twice", "8 x 128", "interpreted", 0,
    )  # fmt: skip
    assert doctor.is_well(report)
    assert "twice, 8 x 128, " in doctor.text(report)


def test_a_kernel_whose_numbers_differ_runs_and_is_a_fault(kernel_rows, bare):
    report = kernel_rows(("y[...] = 2 *", "y[...] = 3 *"))
    [row] = report["kernels"]
    assert row["runs"] == "interpreted"
    assert row["error"].startswith("differs from the CPU's float64 by 5.0e-01")
    assert not doctor.is_well(report)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("y[...] =", "raise ValueError('odd'); y[...] ="),
            "ValueError: odd",
        ),
        (("return 2 * x", "raise ValueError('no reference')"), "ValueError: no reference"),
    ],
)
def test_a_kernel_that_does_not_run_says_why(kernel_rows, bare, change, message):
    [row] = kernel_rows(change)["kernels"]
    assert row["runs"] == "not at all"
    assert message in row["error"]


def test_what_a_native_kernel_is_called_by(folders, kernel_rows):
    """Lowered for a TPU, the toy holds what the doctor looks for."""
    kernel_rows()
    [kernel] = doctor.programs.kernels(folders / "kernels")
    [check] = kernel.checks().values()
    traced = jax.jit(check.function).trace(*doctor._as(check.arguments, np.float32))
    assert any(name in traced.lower(lowering_platforms=("tpu",)).as_text() for name in doctor.NATIVE)
    assert not any(name in traced.lower(lowering_platforms=("cpu",)).as_text() for name in doctor.NATIVE)


def test_a_jax_that_is_too_old_stops_it(examine, bare, monkeypatch):
    found = faults.installed
    monkeypatch.setattr(faults, "installed", lambda name: "0.4.30" if name == "jax" else found(name))
    report = examine()
    [fault] = serious(report)
    assert fault["what"] == "jax 0.4.30 is older than 0.10, the oldest that is supported"
    assert fault["do"].startswith("pip install -U 'jax>=0.10'")
    assert report["devices"] == report["programs"] == []
    assert not doctor.is_well(report)
    assert "devices:\n  none" in doctor.text(report)


def test_a_jax_that_does_not_start(examine, bare, monkeypatch):
    def fail(**_):
        raise RuntimeError("Unable to initialize\nbackend 'tpu'")

    monkeypatch.setattr(jax, "local_devices", fail)
    [fault] = serious(examine())
    assert fault["what"] == "JAX does not start: Unable to initialize backend 'tpu'"
    assert fault["do"].startswith("reinstall JAX")
    monkeypatch.setenv("JAX_PLATFORMS", "tpu")
    [fault] = serious(examine())
    assert fault["do"] == "JAX_PLATFORMS is 'tpu': unset it, or add the CPU, as 'tpu,cpu'"


def test_the_command_prints_json_and_fails_where_something_is_wrong(folders, bare, monkeypatch, capsys):
    monkeypatch.chdir(folders)
    monkeypatch.setattr(doctor.programs, "kernels", lambda _: [])  # interpreted, they take seconds
    assert main.command(["doctor", "--json", "--experiments", "made"]) == 0
    report = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert [one["name"] for one in report["programs"][::8]] == ["products: product", "products: counts"]
    monkeypatch.setattr(doctor, "is_well", lambda _: False)
    assert main.command(["doctor", "--experiments", "made"]) == 3
    assert "NOT WELL" in capsys.readouterr().out


@pytest.mark.beyond
def test_the_doctor_of_this_package_is_quick(tmp_path):
    """Every program of the benches, in a process of its own that compiles anew."""
    status, output, errors = made.shell(tmp_path, "doctor", "--json")
    assert status in (0, 3), errors  # 3 where an accelerator is here that is not installed for
    report = json.loads(output)
    assert any(row["name"].startswith("scattering2d: ") for row in report["programs"])
    assert all("error" not in row for row in report["programs"])
    assert all(row["difference"] < 1e-5 for row in report["programs"])
