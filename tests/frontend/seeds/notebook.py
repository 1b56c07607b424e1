"""Running tutorial cells as a notebook would, once with each library.

A cell's result is what it prints, the repr of its last expression and the error it ends with. Both
libraries draw the same numbers, so that random cells can be compared like all others.
"""

from __future__ import annotations

import ast
import contextlib
import io
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

CELLS = Path(__file__).parent
# Functions whose results are drawn anew from NumPy, with the distribution to draw from.
_DRAWN = {
    "rand": "uniform", "rand_like": "uniform", "randn": "normal", "randn_like": "normal",
    "normal": "normal", "empty": "zeros", "empty_like": "zeros",
}  # fmt: skip
_FILLED = {"uniform_": "uniform", "normal_": "normal"}


def cells(name: str) -> list[str]:
    """The cells of a file, which starts each with ``# %%``."""
    text = (CELLS / name).read_text(encoding="utf-8")
    return [cell.strip("\n") for cell in text.split("# %%\n") if cell.strip()]


def with_import(cell: str, package: str) -> str:
    """The cell with its import lines naming another package, and nothing else changed."""
    lines = []
    for line in cell.split("\n"):
        match = re.match(r"(\s*)(import|from)(\s+)torch\b(.*)$", line)
        if match:
            indent, word, space, rest = match.groups()
            name = f"{package} as torch" if word == "import" and not rest else package
            line = f"{indent}{word}{space}{name}{rest}"
        lines.append(line)
    return "\n".join(lines)


def run_notebook(sources: list[str], package: str) -> list[str]:
    """What every cell shows, in order, in one fresh namespace."""
    module = types.ModuleType("__main__")
    previous = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        return [_run(with_import(source, package), module.__dict__) for source in sources]
    finally:
        sys.modules["__main__"] = previous


def _run(source: str, namespace: dict[str, Any]) -> str:
    shown = io.StringIO()
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(shown), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(tree, "<cell>", "exec"), namespace)
            if last is not None:
                result = eval(compile(ast.Expression(last.value), "<cell>", "eval"), namespace)
                if result is not None:
                    print(repr(result))
        except Exception as error:
            print(f"{type(error).__name__}: {str(error).splitlines()[0]}")
    return _without_names(shown.getvalue())


def _without_names(text: str) -> str:
    """Output without addresses and without the library's own name."""
    text = re.sub(r"0x[0-9a-f]+", "0x...", text)
    # How a loader prints names the module that holds it, which is the library's own affair.
    text = re.sub(r"<(torch|treadle)\.[\w.]+\.", "<torch.", text)
    return text.replace("'treadle.", "'torch.")


@contextlib.contextmanager
def same_numbers(library: Any) -> Iterator[None]:
    """Random functions of a library keep their results' types and shapes and draw from NumPy."""
    source = np.random.default_rng(7)

    def numbers(kind: str, shape: tuple[int, ...]) -> Any:
        if kind == "zeros":
            return np.zeros(shape)
        draw = source.random if kind == "uniform" else source.standard_normal
        return np.asarray(draw(shape))

    def fill(tensor: Any, kind: str, low: float = 0.0, scale: float = 1.0) -> Any:
        array = numbers(kind, tuple(tensor.shape)) * scale + low
        with library.no_grad():
            return tensor.copy_(library.tensor(array).to(tensor.dtype))

    def redrawn(function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        return lambda *args, **kwargs: fill(
            function(*args, **kwargs).detach(), kind
        ).requires_grad_(kwargs.get("requires_grad", False))

    def filled(kind: str) -> Callable[..., Any]:
        def method(self: Any, low: float = 0.0, high: float = 1.0, generator: Any = None) -> Any:
            return fill(self, kind, low, high - low if kind == "uniform" else high)

        return method

    def whole_numbers(*args: Any, **kwargs: Any) -> Any:
        made = integers(*args, **kwargs)
        return made.copy_(library.tensor(source.integers(0, 9, tuple(made.shape))))

    integers = library.randint
    with pytest.MonkeyPatch.context() as patch:
        for name, kind in _DRAWN.items():
            patch.setattr(library, name, redrawn(getattr(library, name), kind))
        for name, kind in _FILLED.items():
            patch.setattr(library.Tensor, name, filled(kind))
        patch.setattr(library, "randint", whole_numbers)
        yield


_NUMBER = re.compile(r"[-+]?\b\d+(?:\.\d*)?(?:e[-+]?\d+)?")


def numbers_of(text: str) -> tuple[str, list[float]]:
    """Output with its numbers taken out, and the numbers."""
    return _NUMBER.sub("#", text), [float(number) for number in _NUMBER.findall(text)]
