"""Derivatives of library functions: factorisations, systems and transforms.

The formulas are those of PyTorch (torch/csrc/autograd/FunctionsManual.cpp); they are IR over the
functions' own results, so that higher derivatives follow.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from treadle.ir import build as b, matrices as m
from treadle.ir.types import int64
from treadle.ir.value import Value

Given: TypeAlias = "Sequence[Value]"
Upstreams: TypeAlias = "Sequence[Value | None]"
Found: TypeAlias = "Sequence[Value | None]"
# (operands, results, upstream gradients of results, options) -> gradients of operands
LibraryRule: TypeAlias = Callable[[Given, Given, Upstreams, tuple[Any, ...]], Found]


def _cholesky(_x: Given, results: Given, upstreams: Upstreams, options: Any) -> Found:
    factor, g = results[0], upstreams[0]
    if g is None:
        return (None,)
    if options[0]:
        factor, g = m.adjoint(factor), m.adjoint(g)
    phi = m.lower(m.dot(m.adjoint(factor), g))
    both = b.add(phi, m.adjoint(m.lower(phi, -1)))
    left = m.solve_triangular(m.adjoint(factor), both, upper=True)
    return (m.solve_triangular(factor, left, upper=False, left=False) * 0.5,)


def _qr_square(q: Value, r: Value, gq: Value | None, gr: Value | None) -> Value:
    """A = Q R with as many columns in Q as R has rows, R square."""
    middle = None if gr is None else m.dot(gr, m.adjoint(r))
    if gq is not None:
        part = m.dot(m.adjoint(q), gq)
        middle = b.neg(part) if middle is None else b.sub(middle, part)
    assert middle is not None
    half = m.upper(middle)
    whole = b.add(half, m.adjoint(half))
    whole = b.sub(whole, m.with_diagonal(m.diagonal(whole)) * 0.5)
    found = m.dot(q, whole)
    found = found if gq is None else b.add(found, gq)
    return m.solve_triangular(m.adjoint(r), found, upper=False, left=False)


def _qr(operands: Given, results: Given, upstreams: Upstreams, options: Any) -> Found:
    if options[0] == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. "
            "Please use linalg.qr(A, mode='reduced') if you are going to require gradients."
        )
    (q, r), (gq, gr) = results, upstreams
    rows, columns = operands[0].shape[-2:]
    if rows > columns and options[0] == "complete":
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols"
        )
    if rows >= columns:
        return (_qr_square(q, r, gq, gr),)
    # A = [A1 A2], R = [R1 R2]: Q and R1 are those of A1, R2 = Q^H A2.
    first, second = slice(0, rows), slice(rows, columns)
    every = slice(None)
    if gr is None:
        right = m.like(q, (*q.shape[:-1], columns - rows))
        return (m.blocks([[_qr_square(q, m.part(r, every, first), gq, None), right]]),)
    gr2 = m.part(gr, every, second)
    through = m.dot(m.part(operands[0], every, second), m.adjoint(gr2))
    gq = through if gq is None else b.add(gq, through)
    left = _qr_square(q, m.part(r, every, first), gq, m.part(gr, every, first))
    return (m.blocks([[left, m.dot(q, gr2)]]),)


def _gaps(values: Value) -> Value:
    """values_j - values_i off the diagonal, ones on it."""
    gaps = b.sub(m.columns(values), m.rows(values))
    return b.select(b.eq(m.offsets(gaps), 0), b.constant_like(gaps, 1), gaps)


def _eigh(operands: Given, results: Given, upstreams: Upstreams, options: Any) -> Found:
    triangle, with_vectors = options
    values, vectors = results[0], results[1]
    if not with_vectors:
        vectors = b.library("eigh", [operands[0]], triangle, True)[1]
    gvalues = upstreams[0]
    gvectors = upstreams[1] if with_vectors else None
    middle = None
    if gvectors is not None:
        turned = m.dot(m.adjoint(vectors), gvectors)
        middle = b.div(turned, b.cast(_gaps(values), turned.dtype))
        middle = b.select(b.eq(m.offsets(middle), 0), b.constant_like(middle, 0), middle)
        # Of the matrices that are hermitian, as the one that is read counts.
        middle = b.add(middle, m.adjoint(middle)) * 0.5
    if gvalues is not None:
        on = b.cast(m.with_diagonal(gvalues), vectors.dtype)
        middle = on if middle is None else b.add(middle, on)
    if middle is None:
        return (None,)
    return (m.dot(vectors, middle, m.adjoint(vectors)),)


def _eig(operands: Given, results: Given, upstreams: Upstreams, options: Any) -> Found:
    with_vectors = options[0]
    values, vectors = results[0], results[1]
    if not with_vectors:
        values, vectors = b.library("eig", [operands[0]], True)[:2]
    gvalues = upstreams[0]
    gvectors = upstreams[1] if with_vectors else None
    turned = m.adjoint(vectors)
    middle = None
    if gvectors is not None:
        part = m.dot(turned, gvectors)
        real = b.cast(m.part_of(m.diagonal(part), 0), part.dtype)
        length = m.dot(turned, vectors) * m.columns(real)
        middle = b.div(b.sub(part, length), b.conj(_gaps(values)))
        middle = b.select(b.eq(m.offsets(middle), 0), b.constant_like(middle, 0), middle)
    if gvalues is not None:
        on = m.with_diagonal(gvalues)
        middle = on if middle is None else b.add(middle, on)
    if middle is None:
        return (None,)
    found = b.library("solve", [turned, m.dot(middle, turned)])[0]
    return (found if operands[0].dtype.is_complex else m.part_of(found, 0),)


def _skew(x: Value) -> Value:
    return b.sub(x, m.adjoint(x))


def _svd(operands: Given, results: Given, upstreams: Upstreams, options: Any) -> Found:
    a = operands[0]
    full, with_vectors = options
    count = min(a.shape[-2:])
    kept = slice(0, count)
    every = slice(None)
    if with_vectors:
        u, s, vh = results[:3]
        gu, gs, gvh = upstreams[:3]
    else:
        u, s, vh = b.library("svd", [a], False, True)[:3]
        gu, gs, gvh = None, upstreams[0], None
    if full:
        u, vh = m.part(u, every, kept), m.part(vh, kept, every)
        gu = None if gu is None else m.part(gu, every, kept)
        gvh = None if gvh is None else m.part(gvh, kept, every)
    wide = b.cast(s, a.dtype)
    if gu is None and gvh is None:
        return (None if gs is None else m.dot(u * m.columns(b.cast(gs, a.dtype)), vh),)
    squares = _gaps(s * s)
    apart = b.cast(squares, a.dtype)
    middle = m.like(a, (*a.shape[:-2], count, count))
    if gu is not None:
        middle = middle + b.div(_skew(m.dot(m.adjoint(u), gu)), apart) * m.columns(wide)
    if gvh is not None:
        turned = b.div(_skew(m.dot(vh, m.adjoint(gvh))), apart)
        middle = middle + m.rows(wide) * turned
    if gs is not None:
        middle = middle + m.with_diagonal(b.cast(gs, a.dtype))
    rows, columns = a.shape[-2:]
    if rows > count and gu is not None:
        rest = b.sub(gu, m.dot(u, m.adjoint(u), gu))
        left = b.add(m.dot(u, middle), b.div(rest, m.columns(wide)))
        return (m.dot(left, vh),)
    if columns > count and gvh is not None:
        rest = b.sub(gvh, m.dot(gvh, m.adjoint(vh), vh))
        right = b.add(m.dot(middle, vh), b.div(rest, m.rows(wide)))
        return (m.dot(u, right),)
    return (m.dot(u, middle, vh),)


def permuted_rows(x: Value, order: Value) -> Value:
    """Row i of the result is row order[i] of x; ``order`` has the batch of x."""
    return b.gather(x, b.broadcast_to(m.rows(order), x.shape), x.ndim - 2)


def _lu(operands: Given, results: Given, upstreams: Upstreams, _options: Any) -> Found:
    """A = P L U, for each of the shapes: what lies outside the square is solved for first."""
    lu, pivots = results[:2]
    g = upstreams[0]
    if g is None:
        return (None,)
    rows, columns = lu.shape[-2:]
    count = min(rows, columns)
    square, below, right = slice(0, count), slice(count, rows), slice(count, columns)
    l1 = m.lower(m.part(lu, square, square), -1)
    l1 = b.add(l1, m.unit_like(l1))
    u1 = m.upper(m.part(lu, square, square))
    low = m.dot(m.adjoint(l1), m.lower(m.part(g, square, square), -1))
    high = m.dot(m.upper(m.part(g, square, square)), m.adjoint(u1))
    if columns > count:
        g2, u2 = m.part(g, square, right), m.part(lu, square, right)
        low = b.sub(low, m.dot(g2, m.adjoint(u2)))
    if rows > count:
        g2, l2 = m.part(g, below, square), m.part(lu, below, square)
        high = b.sub(high, m.dot(m.adjoint(l2), g2))
    middle = b.add(m.lower(low, -1), m.upper(high))
    # Gradients of the blocks of P^T A.
    left = m.solve_triangular(m.adjoint(l1), middle, upper=True, unit=True)
    found = m.solve_triangular(m.adjoint(u1), left, upper=False, left=False)
    if columns > count:
        beside = m.solve_triangular(m.adjoint(l1), m.part(g, square, right), upper=True, unit=True)
        found = m.blocks([[found, beside]])
    if rows > count:
        under = m.solve_triangular(m.adjoint(u1), m.part(g, below, square), upper=False, left=False)
        found = m.blocks([[found], [under]])
    inverse = b.library("permutation", [pivots], rows)[1]
    return (permuted_rows(found, inverse),)


def _solve(operands: Given, results: Given, upstreams: Upstreams, _options: Any) -> Found:
    g = upstreams[0]
    if g is None:
        return (None, None)
    right = b.library("solve", [m.adjoint(operands[0]), g])[0]
    return b.neg(m.dot(right, m.adjoint(results[0]))), right


def _inverse(_x: Given, results: Given, upstreams: Upstreams, _options: Any) -> Found:
    g = upstreams[0]
    if g is None:
        return (None,)
    turned = m.adjoint(results[0])
    return (b.neg(m.dot(turned, g, turned)),)


def _triangular(operands: Given, results: Given, upstreams: Upstreams, options: Any) -> Found:
    upper, unit = options
    g = upstreams[0]
    if g is None:
        return (None, None)
    turned = m.adjoint(operands[0])
    right = m.solve_triangular(turned, g, upper=not upper, unit=unit)
    found = b.neg(m.dot(right, m.adjoint(results[0])))
    part = m.upper(found, 1 if unit else 0) if upper else m.lower(found, -1 if unit else 0)
    return part, right


def _scalars(x: Value) -> Value:
    """One number a matrix, ready to be multiplied with it."""
    return b.reshape(x, (*x.shape, 1, 1))


def _det(operands: Given, _results: Given, upstreams: Upstreams, _options: Any) -> Found:
    g = upstreams[0]
    if g is None:
        return (None,)
    return (_scalars(g) * b.library("cofactors", [operands[0]])[0],)


def _cofactors(operands: Given, results: Given, upstreams: Upstreams, _options: Any) -> Found:
    """C = conj(det A) A^-H; its own derivative needs the inverse."""
    g = upstreams[0]
    if g is None:
        return (None,)
    inverse = m.adjoint(b.library("inverse", [operands[0]])[0])
    trace = b.sum(b.conj(g) * results[0], (-2, -1))
    both = m.dot(results[0], m.adjoint(g), inverse)
    return (b.sub(_scalars(trace) * inverse, both),)


def _slogdet(operands: Given, results: Given, upstreams: Upstreams, _options: Any) -> Found:
    gsign, g = upstreams
    factor = None if g is None else b.cast(g, operands[0].dtype)
    if gsign is not None and operands[0].dtype.is_complex:
        turn = m.part_of(b.conj(gsign) * results[0], 1)
        turn = b.view_as_complex(
            b.concat([m.rows(b.constant_like(turn, 0)), m.rows(b.neg(turn))], turn.ndim)
        )
        factor = turn if factor is None else b.add(factor, turn)
    if factor is None:
        return (None,)
    return (_scalars(factor) * m.adjoint(b.library("inverse", [operands[0]])[0]),)


def _pseudoinverse(operands: Given, results: Given, upstreams: Upstreams, _options: Any) -> Found:
    """Golub and Pereyra, The Differentiation of Pseudo-Inverses (1973)."""
    g = upstreams[0]
    a, p = operands[0], results[0]
    if g is None:
        return (None,) * len(operands)
    gh, ph = m.adjoint(g), m.adjoint(p)
    rest: Found = (None,) * (len(operands) - 1)
    if a.shape[-2] <= a.shape[-1]:
        k = m.dot(gh, p)
        kph = m.dot(k, ph)
        first = b.sub(kph, m.adjoint(m.dot(p, k)))
        second = b.sub(m.dot(ph, p, b.sub(gh, m.dot(k, a))), m.dot(a, p, kph))
        return b.add(first, second), *rest
    k = m.dot(p, gh)
    phk = m.dot(ph, k)
    first = b.sub(phk, m.adjoint(m.dot(k, p)))
    second = b.sub(m.dot(b.sub(gh, m.dot(a, k)), p, ph), m.dot(phk, p, a))
    return b.add(first, second), *rest


def _matrix_exp(operands: Given, _results: Given, upstreams: Upstreams, _options: Any) -> Found:
    """Najfeld and Havel, Derivatives of the Matrix Exponential and Their Computation (1995)."""
    g = upstreams[0]
    if g is None:
        return (None,)
    turned = m.adjoint(operands[0])
    order = turned.shape[-1]
    nothing = b.constant_like(turned, 0)
    whole = b.library("matrix_exp", [m.blocks([[turned, g], [nothing, turned]])])[0]
    return (m.part(whole, slice(0, order), slice(order, 2 * order)),)


def _reflect(operands: Given, _results: Given, upstreams: Upstreams, options: Any) -> Found:
    g = upstreams[0]
    if g is None:
        return (None, None, None)
    if not operands[0].type.numel or not operands[1].type.numel:
        return None, None, g
    return b.library("reflect_gradient", [*operands, g], *options)


# --- Fourier transforms ---------------------------------------------------------------------------


def _fft(_x: Given, _results: Given, upstreams: Upstreams, options: Any) -> Found:
    axes, inverse = options
    g = upstreams[0]
    return (None if g is None else b.library("fft", [g], axes, not inverse)[0],)


def _real_fft(operands: Given, _results: Given, upstreams: Upstreams, options: Any) -> Found:
    """The real part of a transform of half a spectrum.

    Where the inverse transform counts an element for its mirror image too, half of it counts.
    """
    (axes,) = options
    g = upstreams[0]
    if g is None:
        return (None,)
    extent = operands[0].shape[axes[-1]]
    halves = b.select(_mirrored(g, axes[-1], extent), g * 0.5, g)
    return tuple(b.library("irfft", [halves], axes, extent))


def _mirrored(half: Value, axis: int, extent: int) -> Value:
    """Which elements of half a spectrum also stand for their mirror image."""
    at = b.iota(half.shape, axis, int64, half.type.device)
    return b.logical_and(b.ge(at, 1), b.lt(at, extent - half.shape[axis] + 1))


def _inverse_real_fft(operands: Given, results: Given, upstreams: Upstreams, options: Any) -> Found:
    """Elements that also stand for their mirror image count twice."""
    axes, extent = options
    g = upstreams[0]
    if g is None:
        return (None,)
    half = b.library("rfft", [g], axes)[0]
    return (b.select(_mirrored(half, axes[-1], extent), half * 2.0, half),)


RULES: dict[str, LibraryRule] = {
    "cholesky": _cholesky,
    "qr": _qr,
    "eigh": _eigh,
    "eig": _eig,
    "svd": _svd,
    "lu_factor": _lu,
    "solve": _solve,
    "inverse": _inverse,
    "solve_triangular": _triangular,
    "det": _det,
    "cofactors": _cofactors,
    "slogdet": _slogdet,
    "pseudoinverse": _pseudoinverse,
    "matrix_exp": _matrix_exp,
    "reflect": _reflect,
    "fft": _fft,
    "rfft": _real_fft,
    "irfft": _inverse_real_fft,
}
NOT_DIFFERENTIABLE: dict[str, str] = {
    "geqrf": "as in PyTorch",
    "ldl_factor": "as in PyTorch",
    "ldl_solve": "as in PyTorch",
    "permutation": "its results are positions",
    "reflect_gradient": "products of reflectors are differentiated once",
}


def gradients(call: Value, upstreams: Sequence[Value | None]) -> Found:
    """Gradients of a call's operands, given those of its results; None where there is none.

    Raises TypeError for functions that have no derivative.
    """
    name, options, pairs = call.attrs
    rule = RULES.get(name)
    if rule is None:
        raise TypeError(f"{name} has no derivative: {NOT_DIFFERENTIABLE[name]}")
    operands = [
        b.view_as_complex(operand) if number in pairs else operand
        for number, operand in enumerate(call.inputs)
    ]
    is_pair, items = b.library_results(call)
    results = [
        b.view_as_complex(item) if pair else item for item, pair in zip(items, is_pair, strict=True)
    ]
    given = [
        b.view_as_complex(g) if g is not None and pair else g
        for g, pair in zip(upstreams, is_pair, strict=True)
    ]
    found = rule(operands, results, given, options)
    return [
        b.view_as_real(g) if g is not None and number in pairs else g
        for number, g in enumerate(found)
    ]
