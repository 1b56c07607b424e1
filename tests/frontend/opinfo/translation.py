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


def to_treadle(item: Any, leaves: list[Any], memory: dict[Any, Any] | None = None) -> Any:
    """The same argument for Treadle; ``leaves`` collects pairs of tensors that want gradients.

    Tensors that share memory do so here, too: ``memory`` holds what was met before.
    """
    import torch

    memory = {} if memory is None else memory

    if isinstance(item, torch.Tensor):
        for theirs, ours in leaves:
            if theirs is item:
                return ours
        made = _tensor(item, memory)
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
        return type(item)(to_treadle(part, leaves, memory) for part in item)
    if isinstance(item, dict):
        return {name: to_treadle(part, leaves, memory) for name, part in item.items()}
    if isinstance(item, slice):
        ends = (item.start, item.stop, item.step)
        return slice(*(to_treadle(part, leaves, memory) for part in ends))
    if isinstance(item, torch.nn.PairwiseDistance):
        return treadle.nn.PairwiseDistance(item.norm, item.eps, item.keepdim)
    if callable(item) and (getattr(item, "__module__", None) or "").startswith("torch"):
        return translate(item)
    if isinstance(item, (torch.layout, torch.memory_format)):
        return _named(treadle, str(item).removeprefix("torch."))
    return item


def _tensor(source: Any, memory: dict[Any, Any]) -> Any:
    import torch

    if source.ndim > 64:
        raise MissingFunctionError("tensors of more axes than arrays have")
    if source.layout is not torch.strided:
        raise MissingFunctionError(f"layout {source.layout}")
    if source.device.type == "meta":
        raise MissingFunctionError("tensors on the meta device")
    source = source.detach().resolve_conj().resolve_neg()
    storage = source.untyped_storage()
    count = storage.nbytes() // source.itemsize
    place = (storage.data_ptr(), count, source.dtype)
    if not source.numel():
        return _copied(source)
    if source.numel() > count:
        raise MissingFunctionError("a tensor whose resizing failed halfway")
    if place not in memory:
        everything = source.is_contiguous() and source.numel() == count
        if everything:
            memory[place] = _copied(source)
            return memory[place]
        memory[place] = _copied(torch.as_strided(source, (count,), (1,), 0))
    layout = (tuple(source.shape), source.stride(), source.storage_offset())
    return treadle.as_strided(memory[place], *layout)


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


def _function(name: str) -> Callable[..., Any]:
    """A function of that name, or else the method: ``treadle.double`` is a dtype."""
    try:
        found = _named(treadle, name)
        if callable(found):
            return found  # type: ignore[no-any-return]
    except MissingFunctionError:
        if "." in name:
            raise
    return _named(treadle, f"Tensor.{name}")  # type: ignore[no-any-return]


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
        return _function(name)
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
    # Rows of the database can be called, and say how they are tested.
    if callable(item) and not isinstance(item, type) and not hasattr(item, "sample_inputs"):
        return translate(item)
    return item
