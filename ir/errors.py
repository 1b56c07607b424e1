"""Errors that the compiler's stages raise about IR; users' mistakes raise PyTorch's own types.

Each error says what was expected, what was found and, where known, on which user line.
"""

from __future__ import annotations

from treadle.ir.types import DType


class TreadleError(Exception):
    """Base of the errors that are Treadle's own."""


class UnsupportedDTypeError(TypeError):
    """An op means nothing on a dtype.

    Attributes:
        dtype: which.
    """

    def __init__(self, name: str, dtype: DType) -> None:
        super().__init__(f"{name} is not defined for {dtype.name}")
        self.dtype = dtype


# What an op's type rule raises on operands or attributes that it does not take.
INFERENCE_ERRORS = (TypeError, ValueError, RuntimeError, IndexError, AttributeError)


class VerificationError(TreadleError):
    """A graph or kernel breaks a rule of its IR."""


class ParseError(TreadleError):
    """IR text that cannot be read; the message starts with ``line:column:``."""


class PassError(TreadleError):
    """A pass or pipeline was misnamed, misconfigured, or changed a result."""


class EvaluationError(TreadleError):
    """The interpreter could not compute a value."""


class CompilationError(TreadleError):
    """A kernel could not be built for its target."""


class CaptureError(TreadleError):
    """A program asked for something that recording cannot honour."""
