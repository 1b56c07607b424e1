"""Linear algebra against PyTorch: errors, views of failure, higher derivatives, whole steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import treadle
from tests.frontend.agreement import assert_equal, oracle, run

Array = np.ndarray[Any, Any]
RANDOM = np.random.default_rng(5)
A0 = RANDOM.standard_normal((4, 4))
SPD = A0 @ A0.T + np.eye(4)
B0 = RANDOM.standard_normal((4, 3))


def agree(program: Callable[[Any], Any]) -> None:
    assert_equal(run(program, treadle), run(program, oracle()))


FAILURES: dict[str, Callable[[Any], Any]] = {
    "cholesky": lambda t: t.linalg.cholesky(t.ones(2, 2)),
    "cholesky of a batch": lambda t: t.linalg.cholesky(t.stack([t.eye(2), -t.eye(2)])),
    "plain cholesky": lambda t: t.cholesky(t.ones(2, 2)),
    "inv": lambda t: t.linalg.inv(t.ones(2, 2)),
    "inv of a batch": lambda t: t.linalg.inv(t.zeros(3, 2, 2)),
    "solve": lambda t: t.linalg.solve(t.ones(2, 2), t.ones(2)),
    "lu_factor": lambda t: t.linalg.lu_factor(t.zeros(2, 2)),
    "svd": lambda t: t.linalg.svd(t.full((2, 2), float("nan"))),
    "tensorinv": lambda t: t.linalg.tensorinv(t.ones(2, 3, 6)),
    "negative power": lambda t: t.linalg.matrix_power(t.zeros(2, 2), -1),
    "eig": lambda t: t.linalg.eig(t.full((2, 2), float("nan"))),
    "not square": lambda t: t.linalg.cholesky(t.ones(2, 3)),
    "a vector": lambda t: t.linalg.inv(t.ones(3)),
    "integers": lambda t: t.linalg.det(t.ones(2, 2).long()),
    "half": lambda t: t.linalg.inv(t.ones(2, 2).half()),
    "shapes": lambda t: t.linalg.solve(t.eye(2), t.ones(3, 3)),
    "shapes from the right": lambda t: t.linalg.solve(t.eye(2), t.ones(2, 3), left=False),
    "dtypes": lambda t: t.linalg.solve(t.eye(2), t.ones(2).double()),
    "mode": lambda t: t.linalg.qr(t.ones(3, 3), "foo"),
    "triangle": lambda t: t.linalg.eigh(t.ones(2, 2), UPLO="A"),
    "driver": lambda t: t.linalg.svd(t.ones(2, 2), driver="gesvd"),
    "lstsq driver": lambda t: t.linalg.lstsq(t.ones(3, 2), t.ones(3, 2), driver="foo"),
    "norm order": lambda t: t.linalg.matrix_norm(t.ones(3, 3), 5),
    "norm of nothing": lambda t: t.linalg.vector_norm(t.ones(0), float("inf")),
    "narrowing": lambda t: t.linalg.vector_norm(t.ones(3).double(), dtype=t.float32),
    "norm axes": lambda t: t.linalg.matrix_norm(t.ones(3, 3), dim=(0, 0)),
    "condition": lambda t: t.linalg.cond(t.ones(2, 3), 1),
    "tensorsolve": lambda t: t.linalg.tensorsolve(t.ones(2, 3, 6), t.ones(2, 4)),
    "vander": lambda t: t.linalg.vander(t.ones(3), N=1),
    "pivots": lambda t: t.lu_unpack(t.ones(3, 3), t.ones(3).int() * 7),
    "cross": lambda t: t.linalg.cross(t.ones(2, 4), t.ones(2, 4), dim=0),
    "chain": lambda t: t.linalg.multi_dot([t.ones(2, 3), t.ones(4, 5)]),
}


@pytest.mark.parametrize("name", FAILURES)
def test_errors_are_pytorchs(name: str) -> None:
    agree(FAILURES[name])


def test_a_failure_is_raised_at_the_call_and_leaves_everything_as_it_was() -> None:
    x = treadle.ones(2, 2)
    w = treadle.ones(2, 2)
    w += 1.0
    with pytest.raises(treadle.linalg.LinAlgError, match="the leading minor of order 2"):
        treadle.linalg.cholesky(x)
    assert isinstance(treadle.linalg.LinAlgError("x"), RuntimeError)
    assert w.tolist() == [[2.0, 2.0], [2.0, 2.0]]
    with pytest.raises(RuntimeError):
        treadle.linalg.inv(x)
    # The usual cure works: the error came where it could be caught.
    for jitter in (0.0, 0.5):
        try:
            factor = treadle.linalg.cholesky(x + jitter * treadle.eye(2))
        except treadle.linalg.LinAlgError:
            continue
        break
    np.testing.assert_allclose((factor @ factor.T).numpy(), [[1.5, 1], [1, 1.5]], rtol=1e-6)


def test_info_tells_of_failures_without_raising() -> None:
    def program(t: Any) -> Any:
        batch = t.stack([t.eye(2), -t.eye(2)])
        found = t.linalg.cholesky_ex(batch)
        return [found.info, t.linalg.inv_ex(t.ones(2, 2)).info, found.L[0]]

    agree(program)


def test_a_step_with_a_factorisation_in_the_middle_is_one_program() -> None:
    x = treadle.tensor(A0.astype(np.float32), requires_grad=True)

    def step() -> float:
        factor, _info = treadle.linalg.cholesky_ex(x @ x.T + treadle.eye(4))
        loss = factor.diagonal().log().sum()
        loss.backward()
        with treadle.no_grad():
            x.sub_(x.grad * 0.01)
            x.grad = None
        return float(loss)

    step()
    step()
    treadle.reset_statistics()
    first, second = step(), step()
    statistics = treadle.statistics()
    assert second < first
    assert (statistics.program_runs, statistics.programs_compiled) == (2, 0)


SECOND: dict[str, Callable[[Any, Any, Any], Any]] = {
    "inv": lambda t, a, b: t.linalg.inv(a),
    "solve": lambda t, a, b: t.linalg.solve(a, b),
    "det": lambda t, a, b: t.linalg.det(a),
    "slogdet": lambda t, a, b: t.linalg.slogdet(a)[1],
    "cholesky": lambda t, a, b: t.linalg.cholesky(a).sum(0),
    "eigh": lambda t, a, b: t.linalg.eigh(a)[0],
    "eigenvectors": lambda t, a, b: t.linalg.eigh(a)[1].abs()[0],
    "svd": lambda t, a, b: t.linalg.svdvals(a),
    "qr": lambda t, a, b: t.linalg.qr(a)[1].abs(),
    "lu": lambda t, a, b: t.linalg.lu(a)[1],
    "pinv": lambda t, a, b: t.linalg.pinv(a),
    "matrix_exp": lambda t, a, b: t.linalg.matrix_exp(a * 0.1),
    "triangular": lambda t, a, b: t.linalg.solve_triangular(a, b, upper=True),
    "lstsq": lambda t, a, b: t.linalg.lstsq(a, b)[0],
    "nuclear norm": lambda t, a, b: t.linalg.norm(a, "nuc"),
    "eigvals": lambda t, a, b: t.linalg.eigvals(a).abs(),
    "lu_solve": lambda t, a, b: t.linalg.lu_solve(*t.linalg.lu_factor(a), b),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_derivatives_are_pytorchs(name: str) -> None:
    def program(t: Any) -> Any:
        a = t.tensor(SPD).requires_grad_()
        found = SECOND[name](t, a, t.tensor(B0))
        weights = t.arange(found.numel(), dtype=t.float64).reshape(found.shape).cos()
        first = t.autograd.grad((found * found * weights).sum(), [a], create_graph=True)[0]
        (first * first).sum().backward()
        return [first.detach(), a.grad]

    assert_equal(run(program, treadle), run(program, oracle()), rtol=1e-8)


def test_results_are_named_as_pytorch_names_them() -> None:
    a = treadle.tensor(SPD)
    found = treadle.linalg.svd(a)
    assert type(found).__name__ == "linalg_svd" and found._fields == ("U", "S", "Vh")
    assert treadle.linalg.lstsq(a, a)._fields == (
        "solution", "residuals", "rank", "singular_values",
    )  # fmt: skip
    assert treadle.lu_unpack(*treadle.linalg.lu_factor(a))._fields == ("P", "L", "U")


def test_methods_and_old_names_are_there() -> None:
    def program(t: Any) -> Any:
        a = t.tensor(SPD)
        return [
            a.inverse(), a.det(), a.logdet(), a.slogdet()[1], a.cholesky(), a.matrix_power(3),
            a.pinverse(), t.linalg.norm(a), a.lu()[0], t.cholesky_inverse(a.cholesky()),
            t.triangular_solve(t.tensor(B0), a)[0], t.chain_matmul(a, a, a), t.vander(a[0]),
            t.svd(a)[1], t.qr(a)[1].abs(), t.lu_solve(t.tensor(B0), *t.lu(a)),
        ]  # fmt: skip

    assert_equal(run(program, treadle), run(program, oracle()), rtol=1e-9)


def test_out_takes_results() -> None:
    a = treadle.tensor(SPD)
    out = treadle.empty(0, dtype=treadle.float64)
    assert treadle.linalg.inv(a, out=out) is out
    np.testing.assert_allclose(out.numpy() @ SPD, np.eye(4), atol=1e-9)
    values, vectors = (treadle.empty(0, dtype=treadle.float64) for _ in range(2))
    treadle.linalg.eigh(a, out=(values, vectors))
    np.testing.assert_allclose(values.numpy(), np.linalg.eigvalsh(SPD), rtol=1e-9)
