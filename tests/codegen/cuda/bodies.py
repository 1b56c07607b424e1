"""Bodies that the CUDA tests lower, print, compile and run: those of the lowering tests, and more.

Everything here is data; each body comes with the arrays that it runs on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from tests.codegen import (
    test_contraction_convolution,
    test_contraction_epilogue,
    test_lower_map,
    test_lower_rows,
    test_lower_scan,
    test_lower_sort,
    test_lower_update,
)
from tests.codegen.contraction_runs import arrays_of, case_of
from tests.codegen.lowering import Inputs
from treadle.codegen.loops import Kernel
from treadle.codegen.lower import lower
from treadle.codegen.target import Target
from treadle.ir import build as b
from treadle.ir.graph import Graph
from treadle.ir.types import (
    DType,
    bfloat16,
    bool_,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
    uint32,
)
from treadle.ir.value import Array, Value


@dataclass(frozen=True)
class Body:
    """A graph for one kernel and arrays to run it on.

    Attributes:
        name: of the kernel, an identifier.
        aliases: results written in the memory of an input.
    """

    name: str
    graph: Graph
    arrays: tuple[Array, ...]
    aliases: Mapping[int, int] = field(default_factory=dict)

    def kernel(self, target: Target) -> Kernel:
        """The body lowered."""
        return lower(self.graph, target, self.name, self.aliases)

    def memory(self) -> list[Array]:
        """Flat arguments of the kernel: results are garbage or the memory of an input."""
        memory = [array.reshape(-1).copy() for array in self.arrays]
        for nth, output in enumerate(self.graph.outputs):
            if nth in self.aliases:
                memory.append(memory[self.aliases[nth]])
            else:
                memory.append(np.full(output.type.numel, 99).astype(output.dtype.numpy))
        return memory


Make = Callable[[Inputs], "Value | list[Value] | tuple[Value, ...]"]


def made(name: str, make: Make, aliases: Mapping[int, int] | None = None) -> Body:
    """The body that a function of inputs makes."""
    inputs = Inputs()
    result = make(inputs)
    outputs = (result,) if isinstance(result, Value) else tuple(result)
    graph = Graph("body", tuple(inputs.values), outputs)
    return Body(_identifier(name), graph, tuple(inputs.arrays), aliases or {})


def _identifier(name: str) -> str:
    return "k_" + re.sub(r"\W+", "_", name)


def _sigmoid(x: Value) -> Value:
    return b.reciprocal(b.exp(b.neg(x)) + 1.0)


def _log_softmax(x: Value) -> Value:
    shifted = x - b.max(x, (1,), True)
    return shifted - b.log(b.sum(b.exp(shifted), (1,), True))


def _softmax(x: Value) -> Value:
    e = b.exp(x - b.max(x, (1,), True))
    return e / b.sum(e, (1,), True)


def _elementary(x: Value, y: Value) -> list[Value]:
    positive = b.abs(x)
    return [
        b.exp(x), b.log(positive), b.sin(x), b.cos(x * 5e4), b.tanh(x), b.erf(x),
        b.pow(positive, y), b.sqrt(positive), b.maximum(x, 0.0),
    ]  # fmt: skip


def _more_elementary(x: Value, y: Value) -> list[Value]:
    small, positive = b.sin(x), b.abs(x) + 0.5
    return [
        b.exp2(x), b.expm1(x), b.log1p(positive), b.log2(positive), b.log10(positive),
        b.tan(small), b.asin(small), b.acos(small), b.atan(x), b.atan2(x, y), b.sinh(small),
        b.cosh(small), b.asinh(x), b.acosh(positive + 1.0), b.atanh(small * 0.9), b.erfc(x),
        b.erfcx(positive), b.erfinv(small * 0.9), b.lgamma(positive), b.digamma(positive),
        b.fmod(x, positive),
    ]  # fmt: skip


def _running_mean(i: Inputs) -> list[Value]:
    x, mean = i.of(6, 300), i.of(6)
    return [mean * 0.9 + b.sum(x, (1,)) / 300.0 * 0.1, x - b.reshape(mean, (6, 1))]


def _scattered(i: Inputs) -> Value:
    return b.scatter_add(i.of(10, 21), i.index(10, 6, 21), i.of(6, 21), 0)


# Longer than a block, so that loops over strips, their tails and barriers run as well.
_LONG: dict[str, Make] = {
    "long map": lambda i: _sigmoid(i.of(5, 1003)) * 2.0,
    "long rows of softmax": lambda i: _softmax(i.of(3, 700)),
    "long rows of log softmax": lambda i: _log_softmax(i.of(3, 1100)),
    "long columns of a scatter": lambda i: b.scatter_add(
        i.of(7, 600), i.index(7, 9, 600), i.of(9, 600), 0
    ),
    "long scattered axis": lambda i: b.scatter_add(
        i.of(2, 700), i.index(700, 2, 900), i.of(2, 900), 1
    ),
    "long scattered axis by set": lambda i: b.scatter(
        i.of(2, 700), i.index(700, 2, 900), i.of(2, 900), 1, "set"
    ),
    "long columns of a scattered maximum": lambda i: b.scatter(
        i.of(7, 600), i.index(7, 9, 600), i.of(9, 600), 0, "max"
    ),
    "long argmax": lambda i: b.argmax(i.of(4, 1500), 1),
    "long maximum of float16": lambda i: b.max(i.of(4, 1500, dtype=float16), (1,)),
    "long sum of float16": lambda i: b.sum(i.of(4, 1500, dtype=float16), (1,)),
    "long maximum of bfloat16": lambda i: b.max(i.of(4, 1500, dtype=bfloat16), (1,)),
    "long sum of bfloat16": lambda i: b.sum(i.of(4, 1500, dtype=bfloat16), (1,)),
    "long sum of float64": lambda i: b.sum(i.of(4, 1500, dtype=float64), (1,)),
    "long product of int64": lambda i: b.prod(i.of(4, 600, dtype=int64), (1,)),
    "long transpose": lambda i: b.transpose(i.of(300, 40)) + i.of(300),
    "long all of bools": lambda i: b.min(i.of(3, 999, dtype=bool_), (1,)),
    "elementary functions": lambda i: _elementary(i.of(600), i.of(600)),
    "elementary functions of many kinds": lambda i: _more_elementary(i.of(70), i.of(70)),
    "elementary functions of many kinds of float64": lambda i: _more_elementary(
        i.of(40, dtype=float64), i.of(40, dtype=float64)
    ),
    "elementary functions of float64": lambda i: _elementary(
        i.of(300, dtype=float64), i.of(300, dtype=float64)
    ),
    "elementary functions of float16": lambda i: _elementary(
        i.of(300, dtype=float16), i.of(300, dtype=float16)
    ),
    "elementary functions of bfloat16": lambda i: _elementary(
        i.of(300, dtype=bfloat16), i.of(300, dtype=bfloat16)
    ),
}

# The branches that reduce large arguments.
_LONG |= {
    "elementary functions of large": lambda i: [b.sin(i.of(300) * 1e13), b.cos(i.of(300) * 1e13)],
    "elementary functions of large float64": lambda i: [
        b.sin(i.of(300, dtype=float64) * 1e9), b.cos(i.of(300, dtype=float64) * 1e9)
    ],
}  # fmt: skip

_IN_PLACE: dict[str, tuple[Make, dict[int, int]]] = {
    "map in place": (lambda i: b.exp(i.of(5, 700)), {0: 0}),
    "softmax in place": (lambda i: _softmax(i.of(6, 700)), {0: 0}),
    "running mean in place": (_running_mean, {0: 1}),
    "scatter in place": (_scattered, {0: 0}),
    "view in place": (
        lambda i: b.view_update(i.of(6, 300), i.of(6) * 2.0, (6,), (300,), 3), {0: 0},
    ),
}  # fmt: skip


def _linear(x: Value, weight: Value, bias: Value) -> Value:
    return b.maximum(b.dot(x, b.transpose(weight)) + bias, 0.0)


def _residual(x: Value, y: Value, z: Value) -> Value:
    return b.dot(x, y) + z


_PRODUCTS = {
    "product": (case_of(b.dot, (13, 21), (21, 19)), float32, {}),
    "product wider than a block": (case_of(b.dot, (11, 40), (40, 600)), float32, {}),
    "product deeper than a block": (
        case_of(lambda x, y: b.dot(x, b.transpose(y)), (5, 700), (6, 700)), float32, {},
    ),
    "linear and relu deeper than a block": (
        case_of(_linear, (9, 700), (33, 700), (33,)), float32, {},
    ),
    "batched product": (case_of(b.dot, (3, 5, 7), (3, 7, 9)), float32, {}),
    "product of float64": (case_of(b.dot, (13, 21), (21, 190)), float64, {}),
    "product of float16": (case_of(b.dot, (13, 21), (21, 19)), float16, {}),
    "product of bfloat16": (case_of(b.dot, (13, 21), (21, 19)), bfloat16, {}),
    "product of int64": (case_of(b.dot, (13, 21), (21, 19)), int64, {}),
    "product of int32": (case_of(b.dot, (13, 21), (21, 19)), int32, {}),
    "residual in place": (case_of(_residual, (7, 9), (9, 400), (7, 400)), float32, {0: 2}),
    "deep residual in place": (
        case_of(lambda x, y, z: b.dot(x, b.transpose(y)) + z, (7, 600), (12, 600), (7, 12)),
        float32,
        {0: 2},
    ),
}  # fmt: skip


def _contractions() -> Iterator[Body]:
    for name, (case, dtype, aliases) in _PRODUCTS.items():
        graph = case(dtype)
        yield Body(_identifier(name), graph, tuple(arrays_of(graph)), aliases)
    for group, cases in (
        ("convolution ", test_contraction_convolution.CASES),
        ("epilogue ", test_contraction_epilogue.CASES),
    ):
        for name, case in cases.items():
            graph = case(float32)
            yield Body(_identifier(group + name), graph, tuple(arrays_of(graph)))


def bodies() -> list[Body]:
    """Every body, under names of their own."""
    found = []
    for group, some in (
        ("map", test_lower_map.BODIES),
        ("rows", test_lower_rows.BODIES),
        ("scan", test_lower_scan.BODIES),
        ("sort", test_lower_sort.BODIES),
        ("update", test_lower_update.BODIES),
    ):
        found += [made(f"{group} {name}", make) for name, make in some.items()]
    found += [made(name, make) for name, make in _LONG.items()]
    found += [made(name, make, aliases) for name, (make, aliases) in _IN_PLACE.items()]
    found += _contractions()
    names = [body.name for body in found]
    assert len(set(names)) == len(names)
    return found


# --- scalar ops -----------------------------------------------------------------------------------

_SPECIAL = (0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 1e-40, -3e5, 7e4, 3e9, -5e9, 1e19, -1e19)
_FLOATS = (float16, bfloat16, float32, float64)
_INTEGERS = (uint8, uint32, int8, int16, int32, int64)
_UNARY = ["neg", "abs", "sign", "sqrt", "floor", "ceil", "round", "trunc", "logical_not"]
_BINARY = [
    "add", "sub", "mul", "div", "remainder", "fmod", "maximum", "minimum", "logical_and",
    "logical_or",
    "logical_xor", "shift_left", "shift_right", "eq", "ne", "lt", "le", "gt", "ge",
]  # fmt: skip


def numbers(dtype: DType) -> Array:
    """Numbers of a dtype that are hard on some op."""
    if dtype is bool_:
        return np.array([True, False])
    if dtype.is_floating_point:
        with np.errstate(all="ignore"):
            return np.array([*_SPECIAL, np.inf, -np.inf, np.nan]).astype(dtype.numpy)
    info = np.iinfo(dtype.numpy)
    some = [0, 1, 2, 3, 5, 7, 31, 32, 63, 64, -1, -2, -7, info.max, info.min, info.max // 2]
    return np.array([n for n in some if info.min <= n <= info.max], dtype.numpy)


def scalar_bodies() -> list[Body]:
    """For each dtype, every op that it has on all pairs of its numbers; all conversions."""
    found = []
    for dtype in (bool_, *_INTEGERS, *_FLOATS):
        every = numbers(dtype)
        left, right = (each.reshape(-1) for each in np.meshgrid(every, every))
        for op in (*_UNARY, *_BINARY):
            body = _scalar_body(op, left, right)
            if body is not None:
                found.append(body)
        for other in (bool_, *_INTEGERS, *_FLOATS):
            if other is not dtype:
                name = f"cast {dtype.short} {other.short}"
                found.append(made(name, lambda i, o=other, a=every: b.cast(i.array(a), o)))
    return found


def _scalar_body(op: str, left: Array, right: Array) -> Body | None:
    def make(i: Inputs) -> Value:
        function = getattr(b, op)
        arrays = (left,) if op in _UNARY else (left, right)
        result: Value = function(*map(i.array, arrays))
        return result

    if op == "div" and left.dtype.kind == "i":
        # The interpreter takes the magnitude of the least number, which is not one of its dtype.
        least = np.iinfo(left.dtype).min
        keep = (left != least) & (right != least)
        left, right = left[keep], right[keep]
    try:
        return made(f"{op} {left.dtype}", make)
    except TypeError:
        return None  # not defined for the dtype


__all__ = ["Body", "bodies", "made", "numbers", "scalar_bodies"]
