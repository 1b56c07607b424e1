"""Elementary functions of complex values, composed of real ones of their parts.

Gradients come from the real rules; along branch cuts they are those of the side that the value
is on.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from treadle.ir import build as b
from treadle.ir.complex_values.arithmetic import abs, eq, mul, select
from treadle.ir.complex_values.parts import Pair, complex, parts
from treadle.ir.constants import number_of
from treadle.ir.types import float32, int32, int64
from treadle.ir.value import Value


def exp(z: Value) -> Value:
    """e^a (cos b + i sin b)."""
    real, imag = parts(z)
    size = b.exp(real)
    return complex(size * b.cos(imag), size * b.sin(imag))


def exp2(z: Value) -> Value:
    """2^z."""
    return exp(mul(z, b.constant_like(z, math.log(2.0))))


def expm1(z: Value) -> Value:
    """e^z - 1, without cancellation near 0."""
    real, imag = parts(z)
    half = b.sin(imag * 0.5)
    return complex(b.expm1(real) * b.cos(imag) - half * half * 2.0, b.exp(real) * b.sin(imag))


def log(z: Value) -> Value:
    """log |z| + i angle(z)."""
    return complex(b.log(abs(z)), angle(z))


def angle(z: Value) -> Value:
    """The angle to the positive real axis, real."""
    real, imag = parts(z)
    return b.atan2(imag, real)


def log1p(z: Value) -> Value:
    """log(1 + z), without cancellation near 0."""
    real, imag = parts(z)
    shifted = complex(real + 1.0, imag)
    near = b.logical_and(b.lt(b.abs(real), 0.5), b.lt(b.abs(imag), 0.5))
    square = b.select(near, real * (real + 2.0) + imag * imag, 0.0)
    far = b.log(abs(shifted))
    return complex(b.select(near, b.log1p(square) * 0.5, far), angle(shifted))


def _log_to(base: float, z: Value) -> Value:
    real, imag = parts(log(z))
    return complex(real / math.log(base), imag / math.log(base))


def log2(z: Value) -> Value:
    """log z / log 2."""
    return _log_to(2.0, z)


def log10(z: Value) -> Value:
    """log z / log 10."""
    return _log_to(10.0, z)


def _copysign(size: Value, sign: Value) -> Value:
    """-size where a number has a minus sign, zeros included."""
    negative = b.lt(b.bitcast(sign, int32 if sign.dtype is float32 else int64), 0)
    return b.select(negative, -size, size)


def sqrt(z: Value) -> Value:
    """The root with a real part that is not negative (Kahan, 1987), without cancellation."""
    real, imag = parts(z)
    right = b.ge(real, 0.0)
    # Magnitudes by selection: unlike abs these have a slope at 0, the one of their side.
    root = b.sqrt(abs(z) * 0.5 + b.select(right, real, -real) * 0.5)
    zero = b.eq(root, 0.0)
    other = b.select(zero, imag, imag / (b.select(zero, 1.0, root) * 2.0))
    return complex(
        b.select(right, root, _copysign(other, imag)),
        b.select(right, other, _copysign(root, imag)),
    )


def sin(z: Value) -> Value:
    """sin a cosh b + i cos a sinh b."""
    real, imag = parts(z)
    return complex(b.sin(real) * b.cosh(imag), b.cos(real) * b.sinh(imag))


def cos(z: Value) -> Value:
    """cos a cosh b - i sin a sinh b."""
    real, imag = parts(z)
    return complex(b.cos(real) * b.cosh(imag), -(b.sin(real) * b.sinh(imag)))


def cosh(z: Value) -> Value:
    """cosh a cos b + i sinh a sin b."""
    real, imag = parts(z)
    return complex(b.cosh(real) * b.cos(imag), b.sinh(real) * b.sin(imag))


def tanh(z: Value) -> Value:
    """(t + i s c q) / (c^2 + t^2 s^2), t = tanh a, q = 1 - t^2, s and c of b."""
    real, imag = parts(z)
    t, s, c = b.tanh(real), b.sin(imag), b.cos(imag)
    small = b.exp(b.abs(real) * -2.0)
    complement = small * 4.0 / ((1.0 + small) * (1.0 + small))
    over = b.reciprocal(c * c + t * t * (s * s))
    return complex(t * over, s * c * complement * over)


def _around_one(z: Value) -> tuple[Pair, Pair]:
    """The roots of 1 - z and 1 + z."""
    real, imag = parts(z)
    below, above = complex(1.0 - real, -imag), complex(1.0 + real, imag)
    return parts(sqrt(below)), parts(sqrt(above))


# Inverse functions: Kahan, "Branch cuts for complex elementary functions" (1987).


def asin(z: Value) -> Value:
    """atan(a / Re(rs)) + i asinh(Im(conj(r) s)), r and s the roots of 1 - z and 1 + z."""
    (below, below_imag), (above, above_imag) = _around_one(z)
    real = b.atan2(parts(z)[0], below * above - below_imag * above_imag)
    return complex(real, b.asinh(below * above_imag - below_imag * above))


def acos(z: Value) -> Value:
    """2 atan(Re(r) / Re(s)) + i asinh(Im(conj(s) r)), r and s the roots of 1 - z and 1 + z."""
    (below, below_imag), (above, above_imag) = _around_one(z)
    imag = b.asinh(above * below_imag - above_imag * below)
    return complex(b.atan2(below, above) * 2.0, imag)


def acosh(z: Value) -> Value:
    """asinh(Re(conj(r) s)) + 2i atan(Im(r) / Re(s)), r and s the roots of z - 1 and z + 1."""
    real, imag = parts(z)
    below, below_imag = parts(sqrt(complex(real - 1.0, imag)))
    above, above_imag = parts(sqrt(complex(real + 1.0, imag)))
    size = b.asinh(below * above + below_imag * above_imag)
    return complex(size, b.atan2(below_imag, above) * 2.0)


def atanh(z: Value) -> Value:
    """log1p(4a / ((1 - a)^2 + b^2)) / 4 + i atan2(2b, (1 - a)(1 + a) - b^2) / 2."""
    real, imag = parts(z)
    apart = 1.0 - real
    size = b.log1p(real * 4.0 / (apart * apart + imag * imag)) * 0.25
    return complex(size, b.atan2(imag * 2.0, apart * (1.0 + real) - imag * imag) * 0.5)


def _turned(function: Callable[[Value], Value], z: Value) -> Value:
    """f(iz) / i: from hyperbolic functions to circular ones and back."""
    real, imag = parts(z)
    result, other = parts(function(complex(-imag, real)))
    return complex(other, -result)


def tan(z: Value) -> Value:
    """tanh(iz) / i."""
    return _turned(tanh, z)


def sinh(z: Value) -> Value:
    """sin(iz) / i."""
    return _turned(sin, z)


def atan(z: Value) -> Value:
    """atanh(iz) / i."""
    return _turned(atanh, z)


def asinh(z: Value) -> Value:
    """asin(iz) / i."""
    return _turned(asin, z)


def pow(x: Value, y: Value) -> Value:
    """e^(y log x); small whole powers are products."""
    exponent = number_of(parts(y)[0]) if number_of(parts(y)[1]) == 0 else None
    if exponent in (1, 2, 3, 4):
        product = x
        for _ in range(int(exponent) - 1):
            product = mul(product, x)
        return product
    if exponent == 0.5:
        return sqrt(x)
    nothing, one = (b.constant_like(x, number) for number in (0.0, 1.0))
    of_nothing = select(eq(y, nothing), one, nothing)
    return select(eq(x, nothing), of_nothing, exp(mul(y, log(x))))
