"""Running lines of code with both libraries: what they show, and the error they end with.

Each line of a text file here is a program of its own; its last expression is shown by its repr.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import io
import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """The files of snippets."""
    return sorted(path.stem for path in FOLDER.glob("*.txt"))


def snippets(name: str) -> list[str]:
    """The lines of a file."""
    return (FOLDER / f"{name}.txt").read_text(encoding="utf-8").splitlines()


def shown(source: str, library: Any) -> str:
    """What a snippet prints and its value, or the error's type and first line."""
    namespace = {"torch": library, "np": np, "copy": copy, "pickle": pickle}
    output = io.StringIO()
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    with contextlib.redirect_stdout(output), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            exec(compile(tree, "<snippet>", "exec"), namespace)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "<snippet>", "eval"), namespace)
                output.write(repr(value))
        except Exception as error:
            lines = str(error).strip().splitlines()
            output.write(f"{type(error).__name__}: {lines[0] if lines else ''}")
    text = re.sub("0x[0-9a-f]+", "0x...", output.getvalue())
    return text.replace("treadle", "torch")
