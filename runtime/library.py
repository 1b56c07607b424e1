"""Library functions as native code can call them: a function pointer that takes Python's lock.

Which function is called with what was decided with the program; see ``treadle.ir.library``.
"""

from __future__ import annotations

import ctypes
import threading
from typing import Any

import numpy as np

from treadle.codegen.artifact import ArrayType, LibraryCall
from treadle.ir.library import function_named
from treadle.ir.types import dtype_of

_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)


class _Stored(threading.local):
    """What a library function raised in a program that this thread runs."""

    error: BaseException | None = None


_stored = _Stored()


class HostFunction:
    """One library call of a loaded program.

    Attributes:
        symbol: the name that the program calls.
        address: of the code to call.
    """

    __slots__ = ("_callback", "address", "symbol")

    def __init__(self, call: LibraryCall) -> None:
        function = function_named(call.name)
        count = 1 + max((slot for _type, slot in call.operands), default=-1)
        pointers = ctypes.c_void_p * (count + len(call.results))

        def run(arguments: int, _task: int) -> None:
            # An exception cannot cross native code: it waits for the program's end.
            if _stored.error is not None:
                return
            try:
                places = pointers.from_address(arguments)
                operands = [_array(places[slot], type) for type, slot in call.operands]
                for operand in operands:
                    operand.flags.writeable = False
                results = function.run(operands, call.options, call.pairs)
                for place, (type, number) in zip(places[count:], call.results, strict=True):
                    _array(place, type)[...] = results[number]
            except BaseException as error:
                _stored.error = error

        self.symbol = call.symbol
        self._callback = _CALLBACK(run)
        self.address = ctypes.cast(self._callback, ctypes.c_void_p).value or 0


def raise_stored_error() -> None:
    """Raises what a library function raised in the program that this thread just ran."""
    error = _stored.error
    if error is not None:
        _stored.error = None
        raise error


def _array(address: int | None, type: ArrayType) -> Any:
    """The memory at an address as an array."""
    name, shape = type
    dtype = dtype_of(name).numpy
    count = int(np.prod(shape))
    if not count:
        return np.empty(shape, dtype)
    memory: Any = (ctypes.c_char * (count * dtype.itemsize)).from_address(address or 0)
    return np.frombuffer(memory, dtype).reshape(shape)
