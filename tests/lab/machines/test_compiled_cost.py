"""What loops cost, against closed forms: a compiler's own figures count their bodies once."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxtheory.lab.machines import compiled_cost

M, K = 32, 48
PRODUCT = 2 * M * K * K
"""Operations of (M, K) times (K, K)."""


def compiled(function, *arguments):
    return jax.jit(function).lower(*arguments).compile()


def times(x, w):
    return jnp.matmul(x, w, precision="highest")


def matrices():
    return jnp.ones((M, K)), jnp.ones((K, K))


@pytest.mark.parametrize("rounds", [1, 7, 100])
def test_a_scan_costs_its_rounds(rounds):
    program = compiled(
        lambda x, w: jax.lax.scan(lambda x, _: (times(x, w), None), x, length=rounds)[0], *matrices()
    )
    cost, unknown = compiled_cost.multiplied(program)
    assert unknown == 0
    # Beside the products there is the count of the rounds.
    assert PRODUCT * rounds <= cost.flops <= 1.01 * PRODUCT * rounds + 100
    # Each product reads both of its matrices and writes one, and a round copies its matrix at the most twice.
    least = 4 * (2 * M * K + K * K) * rounds
    assert least <= cost.bytes <= 2.5 * least + 100_000


def test_the_compilers_own_figure_is_of_one_round():
    """The reason for all of this."""
    program = compiled(
        lambda x, w: jax.lax.scan(lambda x, _: (times(x, w), None), x, length=100)[0], *matrices()
    )
    assert program.cost_analysis()["flops"] < 2 * PRODUCT


def test_loops_within_loops_multiply():
    def inner(x, w):
        return jax.lax.fori_loop(0, 5, lambda _, x: times(x, w), x)

    program = compiled(lambda x, w: jax.lax.fori_loop(0, 11, lambda _, x: inner(x, w), x), *matrices())
    cost, unknown = compiled_cost.multiplied(program)
    assert unknown == 0
    assert PRODUCT * 55 <= cost.flops <= 1.01 * PRODUCT * 55 + 1000


def test_a_slice_of_a_loop_reads_its_slice_and_not_the_whole():
    rows, width = 200, 1000
    program = compiled(lambda x: jax.lax.map(lambda row: jnp.sin(row) * 2, x), jnp.ones((rows, width)))
    cost, unknown = compiled_cost.multiplied(program)
    assert unknown == 0
    once = 4 * rows * width
    assert 2 * once <= cost.bytes <= 8 * once  # the whole at each round would be 200 times as much


def test_a_loop_without_a_known_length_is_counted_once_and_told():
    program = compiled(
        lambda x, w: jax.lax.while_loop(lambda x: jnp.sum(x) < 1e9, lambda x: times(x, w), x), *matrices()
    )
    cost, unknown = compiled_cost.multiplied(program)
    assert unknown == 1
    assert PRODUCT <= cost.flops <= 1.1 * PRODUCT


def test_a_program_without_loops_keeps_the_compilers_figures():
    program = compiled(lambda x, w: jnp.tanh(times(x, w)), *matrices())
    cost, unknown = compiled_cost.multiplied(program)
    assert (cost.flops, unknown) == (program.cost_analysis()["flops"], 0)
    assert cost.bytes == program.cost_analysis()["bytes accessed"]


OTHER_THREAD = """HloModule apart, entry_computation_layout={(f32[64]{0})->f32[64]{0}}

%doubled (one: f32[64]) -> f32[64] {
  %one = f32[64]{0} parameter(0)
  ROOT %twice = f32[64]{0} add(%one, %one)
}, execution_thread="sparsecore"

ENTRY %main (x: f32[64]) -> f32[64] {
  %x = f32[64]{0} parameter(0)
  %begun = ((f32[64]{0}), f32[64]{0}, u32[]) call-start(%x), to_apply=%doubled
  ROOT %done = f32[64]{0} call-done(%begun)
}
"""
"""As the compiler for v6e writes what its sparse core does."""


def test_what_another_core_does_counts():
    cost = compiled_cost.Analysis(OTHER_THREAD).cost()
    assert cost.flops == 64
    assert cost.bytes == 3 * 64 * 4


def test_a_kernel_in_a_loop_costs_what_its_author_declares():
    text = """HloModule one

%body (p: (s32[], f32[8,128])) -> (s32[], f32[8,128]) {
  %p = (s32[], f32[8,128]{1,0:T(8,128)}) parameter(0)
  %i = s32[] get-tuple-element(%p), index=0
  %x = f32[8,128]{1,0:T(8,128)} get-tuple-element(%p), index=1
  %one = s32[] constant(1)
  %next = s32[] add(%i, %one)
  %y = f32[8,128]{1,0:T(8,128)} custom-call(%x), custom_call_target="tpu_custom_call", backend_config=CONFIG
  ROOT %both = (s32[], f32[8,128]{1,0:T(8,128)}) tuple(%next, %y)
}

%condition (q: (s32[], f32[8,128])) -> pred[] {
  %q = (s32[], f32[8,128]{1,0:T(8,128)}) parameter(0)
  %j = s32[] get-tuple-element(%q), index=0
  %limit = s32[] constant(12)
  ROOT %less = pred[] compare(%j, %limit), direction=LT
}

ENTRY %main (x0: f32[8,128]) -> f32[8,128] {
  %x0 = f32[8,128]{1,0:T(8,128)} parameter(0)
  %zero = s32[] constant(0)
  %start = (s32[], f32[8,128]{1,0:T(8,128)}) tuple(%zero, %x0)
  %loop = (s32[], f32[8,128]{1,0:T(8,128)}) while(%start), condition=%condition, body=%body
  ROOT %end = f32[8,128]{1,0:T(8,128)} get-tuple-element(%loop), index=1
}
"""
    config = {
        "custom_call_config": {"body": "TUzv", "cost_estimate": {"flops": 1000, "bytes_accessed": 8192}}
    }
    analysis = compiled_cost.Analysis(text.replace("CONFIG", json.dumps(config)))
    assert analysis.cost().flops == 12 * 1000
    assert analysis.cost(once=True).flops == 1000
    assert analysis.unknown_loops == 0
    rounds = (analysis.cost().bytes - analysis.cost(once=True).bytes) / 11
    # The kernel reads and writes 4 KiB; the count is a few bytes.
    assert 2 * 4096 <= rounds <= 2 * 4096 + 100


@pytest.mark.parametrize(
    ("function", "arguments", "flops"),
    [
        # A contraction over two axes, and a batch of products.
        (lambda x, w: jnp.einsum("abi,abj->ij", x, w), ((3, 4, 5), (3, 4, 6)), 2 * 3 * 4 * 5 * 6),
        (lambda x, w: jnp.einsum("bij,bjk->bik", x, w), ((3, 4, 5), (3, 5, 6)), 2 * 3 * 4 * 5 * 6),
        # 10 positions of a filter of length 3 from 4 to 8 channels; nothing is padded.
        (
            lambda x, w: jax.lax.conv_general_dilated(
                x, w, (1,), "VALID", dimension_numbers=("NWC", "WIO", "NWC")
            ),
            ((2, 12, 4), (3, 4, 8)),
            2 * 2 * 10 * 8 * 3 * 4,
        ),
    ],
)  # fmt: skip
def test_contractions_are_two_operations_a_product(function, arguments, flops):
    shapes = [jax.ShapeDtypeStruct(shape, np.float32) for shape in arguments]
    assert compiled_cost.Analysis(compiled(function, *shapes).as_text()).cost().flops == flops
