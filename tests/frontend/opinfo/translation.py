"""From PyTorch's objects to Treadle's: tensors with their layout, arguments, and functions."""

from __future__ import annotations

import functools
import types
from collections.abc import Callable
from typing import Any

import numpy as np

import treadle


class MissingFunctionError(Exception):
    """Treadle has no function of that name."""


def to_treadle(item: Any, leaves: list[Any]) -> Any:
    """The same argument for Treadle; ``leaves`` collects pairs of tensors that want gradients."""
    import torch

    if isinstance(item, torch.Tensor):
        for theirs, ours in leaves:
            if theirs is item:
                return ours
        made = _tensor(item)
        if item.requires_grad:
            made.requires_grad_(True)
            leaves.append((item, made))
        return made
    if isinstance(item, torch.dtype):
        return _named(treadle, str(item).removeprefix("torch."))
    if isinstance(item, torch.device):
        return treadle.device(str(item))
    if isinstance(item, torch.Generator):
        return treadle.Generator()
    if isinstance(item, torch.Size):
        return treadle.Size(item)
    if isinstance(item, (list, tuple)):
        return type(item)(to_treadle(part, leaves) for part in item)
    if isinstance(item, dict):
        return {name: to_treadle(part, leaves) for name, part in item.items()}
    if isinstance(item, slice):
        return slice(*(to_treadle(part, leaves) for part in (item.start, item.stop, item.step)))
    if callable(item) and (getattr(item, "__module__", None) or "").startswith("torch"):
        return translate(item)
    if isinstance(item, (torch.layout, torch.memory_format)):
        return _named(treadle, str(item).removeprefix("torch."))
    return item


def _tensor(source: Any) -> Any:
    import torch

    if source.layout is not torch.strided:
        raise MissingFunctionError(f"layout {source.layout}")
    source = source.detach().resolve_conj().resolve_neg()
    if source.is_contiguous() or not source.numel():
        return _copied(source)
    steps = zip(source.shape, source.stride(), strict=True)
    span = 1 + sum((extent - 1) * stride for extent, stride in steps)
    flat = torch.as_strided(source, (span,), (1,), source.storage_offset())
    return treadle.as_strided(_copied(flat), tuple(source.shape), source.stride())


def _copied(source: Any) -> Any:
    import torch

    if source.dtype is torch.bfloat16:
        return treadle.tensor(np.array(source.float().numpy())).to(treadle.bfloat16)
    return treadle.tensor(np.array(source.numpy()))


def _named(root: Any, path: str) -> Any:
    try:
        return functools.reduce(getattr, path.split("."), root)
    except AttributeError:
        raise MissingFunctionError(f"treadle.{path}") from None


def translate(function: Any, name: str = "") -> Callable[..., Any]:
    """The function of Treadle that stands for one of PyTorch, or for a lambda over PyTorch."""
    if isinstance(function, functools.partial):
        inner = translate(function.func, name)
        keywords = to_treadle(function.keywords, [])
        return functools.partial(inner, *to_treadle(function.args, []), **keywords)
    module = getattr(function, "__module__", None) or ""
    written_for_tests = "testing" in module or getattr(function, "__name__", "") == "<lambda>"
    if isinstance(function, types.FunctionType) and written_for_tests:
        cells = function.__closure__
        if cells:
            cells = tuple(types.CellType(_cell(cell.cell_contents)) for cell in cells)
        scope = {
            key: _cell(item) if key == "F" else item for key, item in function.__globals__.items()
        }
        made = types.FunctionType(
            function.__code__, {**scope, "torch": treadle}, function.__name__,
            function.__defaults__, cells,
        )  # fmt: skip
        made.__kwdefaults__ = function.__kwdefaults__
        return made
    if name:
        try:
            return _named(treadle, name)
        except MissingFunctionError:
            if "." not in name:
                return _named(treadle, f"Tensor.{name}")
            raise
    qualified = getattr(function, "__name__", "")
    inside = module.removeprefix("torch").strip(".")
    if inside.startswith("_C"):
        inside = {"_C._special": "special", "_C._linalg": "linalg", "_C._fft": "fft"}.get(
            inside, ""
        )
    return _named(treadle, f"{inside}.{qualified}" if inside else qualified)


def _cell(item: Any) -> Any:
    import torch

    if item is torch:
        return treadle
    if isinstance(item, types.ModuleType) and item.__name__.startswith("torch."):
        return _named(treadle, item.__name__.removeprefix("torch."))
    if callable(item) and not isinstance(item, type):
        return translate(item)
    return item
