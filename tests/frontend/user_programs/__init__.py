"""Small programs as users write them, in text files by subject, and how one is run and compared.

A program is a block of lines; blank lines separate programs. What its last line gives, what it
prints, warns of and raises must be the same with both libraries.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import math
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def programs() -> list[tuple[str, str]]:
    """(subject, program) pairs."""
    found = []
    for path in sorted(HERE.glob("*.txt")):
        blocks = re.split(r"\n\s*\n", path.read_text())
        found += [(path.stem, block.strip("\n")) for block in blocks if block.strip()]
    return found


def described(result: Any) -> Any:
    """A result without reference to its library: all that a user sees of it."""
    kind = type(result).__name__
    if hasattr(result, "detach") and hasattr(result, "stride"):
        node = result.grad_fn
        values = result.detach()
        values = values.float() if str(values.dtype) == "torch.bfloat16" else values
        facts = (
            str(result.dtype), tuple(result.shape), tuple(result.stride()),
            bool(result.requires_grad), bool(result.is_leaf),
            None if node is None else type(node).__name__,
        )  # fmt: skip
        return (kind, facts, np.array(values.numpy()))
    if isinstance(result, (list, tuple)):
        return (kind, [described(item) for item in result])
    if isinstance(result, dict):
        return (kind, [(str(name), described(item)) for name, item in result.items()])
    if isinstance(result, (bool, int, float, complex, str, bytes, type(None), np.generic)):
        return (kind, result)
    if isinstance(result, np.ndarray):
        return (kind, str(result.dtype), np.array(result))
    return re.sub(r"0x[0-9a-f]+", "0x", repr(result))


def _message(error: Exception) -> str:
    """The first line of a message; that of a wrong call lists forms, which is not compared."""
    if isinstance(error, TypeError):
        return ""
    return re.sub(r", which is output \d+ of [\w:]+,", "", str(error).split("\n")[0])


def run(program: str, library: Any) -> tuple[Any, str, list[tuple[str, str]]]:
    """What a program gives (or raises), prints and warns of."""
    lines = ast.parse(program).body
    names = {
        "torch": library, "F": library.nn.functional, "nn": library.nn, "np": np, "math": math,
        "copy": copy, "pickle": pickle,
    }  # fmt: skip
    printed = io.StringIO()
    with warnings.catch_warnings(record=True) as noted, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            exec(compile(ast.Module(lines[:-1], []), "program", "exec"), names)
            last = lines[-1]
            if isinstance(last, ast.Expr):
                result = eval(compile(ast.Expression(last.value), "program", "eval"), names)
                found = described(result)
            else:
                exec(compile(ast.Module([last], []), "program", "exec"), names)
                found = None
        except Exception as error:
            found = ("raises", type(error).__name__, _message(error))
    library.set_default_dtype(library.float32)
    library.set_grad_enabled(True)
    library.set_printoptions(profile="default")
    said = {(w.category.__name__, str(w.message).split("\n")[0][:60]) for w in noted}
    return found, printed.getvalue(), sorted(said)


def alike(found: Any, expected: Any) -> bool:
    """Equality, up to rounding in floating point; NaN equals NaN."""
    if isinstance(expected, np.ndarray):
        if not isinstance(found, np.ndarray) or found.shape != expected.shape:
            return False
        if expected.dtype.kind not in "fc":
            return np.array_equal(found, expected)
        rtol = 1e-6 if expected.dtype == np.float64 else 1e-4
        return np.allclose(found, expected, rtol=rtol, atol=1e-5, equal_nan=True)
    if isinstance(expected, (list, tuple)):
        same_size = isinstance(found, (list, tuple)) and len(found) == len(expected)
        return same_size and all(map(alike, found, expected))
    if isinstance(expected, float) and isinstance(found, float):
        return (
            math.isclose(found, expected, rel_tol=1e-5)
            or found == expected
            or (math.isnan(found) and math.isnan(expected))
        )
    return type(found) is type(expected) and found == expected
