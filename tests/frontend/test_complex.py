"""Complex tensors behave as PyTorch's: values, printing, shared memory, gradients, errors."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import check

pytestmark = pytest.mark.oracle

RNG = np.random.default_rng(0)
DATA = (RNG.standard_normal((4, 6)) + 1j * RNG.standard_normal((4, 6))).astype(np.complex64)


def z(t: Any) -> Any:
    return t.tensor(DATA)


def w(t: Any) -> Any:
    return t.tensor(DATA[::-1].copy())


def agree(program: Any, rtol: float = 1e-5) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(lambda t: resolved(program(t)), rtol)


def resolved(result: Any) -> Any:
    """PyTorch's lazy conjugates have no array until they are taken."""
    if isinstance(result, (list, tuple)):
        return [resolved(item) for item in result]
    return result.resolve_conj() if hasattr(result, "resolve_conj") else result


VALUES: dict[str, Any] = {
    "from numbers": lambda t: [t.tensor([1 + 2j, 3]), t.tensor(1j, dtype=t.complex128)],
    "from real numbers": lambda t: t.tensor([1.5, 2], dtype=t.complex64),
    "filled": lambda t: [t.full((2,), 1j), t.zeros(2, dtype=t.cfloat), t.eye(2, dtype=t.cdouble)],
    "in steps": lambda t: t.linspace(0, 1j, 5),
    "of parts": lambda t: [t.complex(t.ones(2), t.ones(2, 2)), t.polar(t.ones(2), t.arange(2.0))],
    "conversion": lambda t: [t.ones(2).cfloat(), z(t).cdouble(), z(t).real.cdouble()],
    "to real": lambda t: z(t).to(t.float32),
    "to bool": lambda t: [t.tensor([0j, 1j]).bool(), t.tensor([0j, 1j]).any()],
    "arithmetic": lambda t: [z(t) + w(t), z(t) - w(t), z(t) * w(t), z(t) / w(t), -z(t)],
    "with numbers": lambda t: [z(t) + 1, 2j * z(t), 1j / z(t), 1 - z(t), z(t) / 2],
    "with real tensors": lambda t: [z(t) * t.arange(6), t.arange(6.0) + z(t), t.ones(2) * 1j],
    "powers": lambda t: [z(t) ** 2, z(t) ** w(t), z(t) ** 0.5, z(t) ** -1, t.ones(2) ** 1j],
    "exponentials": lambda t: [z(t).exp(), z(t).log(), z(t).sqrt(), z(t).log1p(), z(t).expm1()],
    "trigonometry": lambda t: [z(t).sin(), z(t).cos(), z(t).tan(), z(t).acos(), z(t).atan()],
    "hyperbolic": lambda t: [z(t).sinh(), z(t).cosh(), z(t).tanh(), z(t).asinh(), z(t).acosh()],
    "logistic": lambda t: [z(t).sigmoid(), z(t).reciprocal(), z(t).rsqrt(), z(t).square()],
    "size and angle": lambda t: [abs(z(t)), z(t).angle(), z(t).sgn(), t.tensor([0j]).sgn()],
    "angles of reals": lambda t: t.tensor([-1.0, 0, 2, float("nan")]).angle(),
    "conjugates": lambda t: [z(t).conj(), z(t).conj_physical(), z(t).mH, z(t).H, z(t).adjoint()],
    "parts of reals": lambda t: [t.real(t.ones(2)), t.ones(2).conj(), t.ones(2).real],
    "comparison": lambda t: [z(t) == w(t), z(t) != 1, t.isreal(t.tensor([1 + 0j, 1j]))],
    "infinities": lambda t: [
        each(t.tensor([complex("inf"), complex("nan"), complex("1+infj"), 1j]))
        for each in (t.isinf, t.isnan, t.isfinite)
    ],
    "sums": lambda t: [z(t).sum(), z(t).sum(1), z(t).mean(0), z(t).prod(1)],
    "spread": lambda t: [z(t).var(), z(t).std(1), z(t).norm()],
    "matrix products": lambda t: [z(t) @ w(t).t(), t.outer(z(t)[0], w(t)[0]), z(t) @ z(t)[0]],
    "inner products": lambda t: [t.dot(z(t)[0], w(t)[0]), t.vdot(z(t)[0], w(t)[0])],
    "movement": lambda t: [z(t).t().reshape(3, 8), z(t).flip(0), z(t)[1:, ::2], z(t).repeat(2, 1)],
    "joining": lambda t: [t.cat([z(t), t.ones(1, 6)]), t.stack([z(t), w(t)])],
    "selection": lambda t: [
        t.where(z(t).real > 0, z(t), 3.0), z(t)[[2, 0]], z(t).masked_fill(z(t).imag > 0, 5j),
        z(t).gather(1, t.tensor([[0, 2], [1, 1]])),
    ],
    "in place": lambda t: [z(t).add_(1j), z(t).mul_(2), z(t).fill_(3j), z(t).zero_()],
    "numbers": lambda t: [z(t)[0, 0].item(), z(t).tolist(), complex(t.tensor(1 + 2j))],
    "real numbers": lambda t: [float(t.tensor(2 + 0j)), int(t.tensor(2 + 0j)), bool(t.tensor(1j))],
    "types": lambda t: [z(t).type(), str(z(t).dtype), z(t).is_complex(), z(t).element_size()],
    "copies": lambda t: [copy.deepcopy(z(t)), copy.deepcopy(z(t).imag), pickle.loads(
        pickle.dumps(z(t)))],
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_results_are_pytorchs(name: str) -> None:
    agree(VALUES[name])


PRINTED: dict[str, Any] = {
    "whole numbers": lambda t: t.tensor([1 + 2j, 3]),
    "fractions": lambda t: t.tensor([[1.5 + 2j, -3j]] * 3),
    "negative zero": lambda t: t.ones(2, dtype=t.complex64).conj(),
    "large and small": lambda t: t.tensor([1e-5 + 1e5j, 2]),
    "not numbers": lambda t: t.tensor([complex("nan"), complex("inf+nanj")]),
    "other precision": lambda t: t.zeros(2, dtype=t.complex128),
    "empty": lambda t: t.zeros(0, dtype=t.complex64),
    "one number": lambda t: f"{t.tensor(1 + 2j)}",
    "long": lambda t: t.arange(40).cfloat() * 1j,
    "node of a part": lambda t: t.ones(2, dtype=t.cfloat, requires_grad=True).imag,
    "node of pairs": lambda t: t.view_as_real(t.ones(2, dtype=t.cfloat, requires_grad=True)),
    "node of complex": lambda t: t.view_as_complex(t.ones(2, 2, requires_grad=True)),
    "node of a conjugate": lambda t: t.ones(2, dtype=t.cfloat, requires_grad=True).conj(),
    "nodes of makers": lambda t: [
        t.complex(t.ones(2, requires_grad=True), t.ones(2)),
        t.polar(t.ones(2, requires_grad=True), t.ones(2)),
        t.ones(2, requires_grad=True).angle(), t.ones(2, requires_grad=True).sgn(),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", PRINTED)
def test_printing_is_pytorchs(name: str) -> None:
    check(lambda t: repr(PRINTED[name](t)))


# -- memory --------------------------------------------------------------------------------------


def test_parts_are_views_that_write_to_the_tensor() -> None:
    def program(t: Any) -> Any:
        x = t.tensor([[1 + 2j, 3], [4j, 5]])
        pairs = t.view_as_real(x)
        pairs[0, 0, 1] = 9
        x.real.mul_(2)
        x.imag[1] += 1
        layouts = (x.imag.stride(), x.imag.storage_offset(), pairs.stride(), x.real.dtype)
        return [x, pairs, x.real, str(layouts), x._version]

    agree(program)


def test_parts_can_be_assigned() -> None:
    def program(t: Any) -> Any:
        x = t.zeros(2, dtype=t.complex64)
        x.real = t.ones(2)
        x.imag = 3
        y = t.zeros(2)
        y.real = t.ones(2)
        return [x, y]

    agree(program)


def test_pairs_of_reals_are_seen_as_complex() -> None:
    def program(t: Any) -> Any:
        x = t.arange(7, dtype=t.float32)
        seen = t.view_as_complex(x[:6].view(3, 2))
        seen *= 1j
        seen[0] = 5
        return [x, seen, seen.real, t.view_as_complex(t.view_as_real(seen))]

    agree(program)


def test_memory_is_shared_with_numpy() -> None:
    def program(t: Any) -> Any:
        array = np.array([1 + 2j, 3 + 4j], np.complex64)
        x = t.from_numpy(array)
        array[0] = 7
        x[1] = 1j
        t.view_as_real(x)[0, 0] = 3
        return [array.tolist(), x.numpy().tolist(), x.real.numpy().tolist(), x.imag.stride()]

    agree(program)


# -- gradients -----------------------------------------------------------------------------------


def gradients(function: Any) -> Any:
    """A program of the gradients of the sum of a real function of a complex and a real leaf."""

    def program(t: Any) -> Any:
        x, y = z(t).requires_grad_(), t.arange(6.0).requires_grad_()
        result = function(t, x, y)
        if result.is_complex():
            result = (result * (1 - 2j)).real
        result.sum().backward()
        return [x.grad, y.grad]

    return program


GRADIENTS: dict[str, Any] = {
    "arithmetic": lambda t, x, y: (x * y * 2j + x.conj()) / (x + 3),
    "size": lambda t, x, y: abs(x * y + 1),
    "angle and sign": lambda t, x, y: x.angle() * y + x.sgn().real,
    "parts": lambda t, x, y: x.real**2 + x.imag * y + t.view_as_real(x).sum(-1),
    "of parts": lambda t, x, y: t.complex(y, y * 2) * t.polar(y, y) * x,
    "elementary": lambda t, x, y: x.exp() * x.log() + x.sqrt() * x.sin() + x.tanh() * y,
    "logistic": lambda t, x, y: x.sigmoid() * y,
    "powers": lambda t, x, y: x**3 + x ** (y * 0.1) + x**1.5,
    "products": lambda t, x, y: x @ x.mH @ (x * y),
    "reductions": lambda t, x, y: x.mean(0) * x.prod(0) + x.sum(0) * y,
    "movement": lambda t, x, y: t.cat([x.flip(1), x[:2]]).t()[1:] * x[0, 1:, None],
    "selection": lambda t, x, y: t.where(x.real > 0, x, y * 1j) * x[:, [1, 1, 2, 3, 4, 5]],
    "spread": lambda t, x, y: x.var(0) + x.std(0) * y,
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_pytorchs(name: str) -> None:
    agree(gradients(GRADIENTS[name]), rtol=3e-4)


def test_gradients_go_through_writes_to_parts() -> None:
    def program(t: Any) -> Any:
        x = t.tensor([1 + 2j, 3], requires_grad=True)
        y = x * 1
        y.real.mul_(3)
        y.imag = t.ones(2)
        (y.abs() ** 2).sum().backward()
        return [x.grad, y]

    agree(program)


def test_gradients_of_gradients() -> None:
    def program(t: Any) -> Any:
        x = z(t).requires_grad_()
        (first,) = t.autograd.grad((x.exp() * x.conj()).abs().sum(), x, create_graph=True)
        (second,) = t.autograd.grad((first * first.conj()).real.sum(), x)
        return [first, second]

    agree(program, rtol=1e-4)


def test_a_complex_result_needs_a_gradient() -> None:
    agree(lambda t: z(t).requires_grad_().sum().backward())

    def program(t: Any) -> Any:
        x = z(t).requires_grad_()
        (x * x).backward(w(t))
        return x.grad

    agree(program)


# -- errors --------------------------------------------------------------------------------------

ERRORS: dict[str, Any] = {
    "parts of two types": lambda t: t.complex(t.ones(2), t.ones(2, dtype=t.float64)),
    "parts of integers": lambda t: t.complex(t.tensor([1]), t.tensor([1])),
    "polar of two types": lambda t: t.polar(t.ones(2), t.ones(2, dtype=t.float64)),
    "imaginary part of a real": lambda t: t.ones(2).imag,
    "imaginary part of a real set": lambda t: setattr(t.zeros(2), "imag", 3),
    "pairs of a real": lambda t: t.view_as_real(t.ones(2)),
    "pairs of integers": lambda t: t.view_as_complex(t.tensor([1, 2])),
    "no pairs": lambda t: t.view_as_complex(t.ones(3)),
    "no axis": lambda t: t.view_as_complex(t.ones(())),
    "odd stride": lambda t: t.view_as_complex(t.ones(4, 3)[:, :2]),
    "odd offset": lambda t: t.view_as_complex(t.ones(4, 4)[:, 1:3]),
    "last stride": lambda t: t.view_as_complex(t.ones(2, 4).t()[:2]),
    "real from complex data": lambda t: t.tensor(1 + 2j, dtype=t.float32),
    "real fill": lambda t: t.full((2,), 1j, dtype=t.float32),
    "real in place": lambda t: t.ones(2).add_(1j),
    "integer in place": lambda t: t.tensor([1]).mul_(1j),
    "float of complex": lambda t: float(t.tensor(1 + 2j)),
    "order": lambda t: z(t) < 2,
    "remainder": lambda t: z(t) % 2,
    "rounding": lambda t: z(t).floor(),
    "sign": lambda t: z(t).sign(),
    "steps": lambda t: t.arange(3, dtype=t.complex64),
    "bits": lambda t: ~z(t),
}


@pytest.mark.parametrize("name", ERRORS)
def test_errors_are_pytorchs(name: str) -> None:
    check(ERRORS[name])


# -- what is Treadle's own -----------------------------------------------------------------------


def test_random_numbers_have_unit_variance() -> None:
    treadle.manual_seed(0)
    drawn = treadle.randn(20000, dtype=treadle.complex64)
    assert abs(drawn.var().item() - 1) < 0.05
    assert abs(drawn.mean().item()) < 0.05
    assert treadle.rand(3, dtype=treadle.complex128).dtype is treadle.complex128


def test_equal_steps_on_complex_tensors_are_one_program() -> None:
    weight = treadle.tensor(DATA, requires_grad=True)

    def step() -> float:
        loss = (weight * weight.conj() - 1).abs().sum()
        weight.grad = None
        loss.backward()
        with treadle.no_grad():
            weight.sub_(weight.grad * 0.01)
        return float(loss)

    losses = [step() for _ in range(3)]
    compiled = treadle.statistics().programs_compiled
    losses += [step() for _ in range(3)]
    assert treadle.statistics().programs_compiled == compiled
    assert losses[-1] < losses[0]
