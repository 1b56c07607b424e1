"""Storages: the memory that tensors alias, pending or concrete.

A storage knows its current value; tensors are views of it. It never computes anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from treadle.ir.types import TensorType
from treadle.ir.value import Value

if TYPE_CHECKING:
    from treadle.tracer.segment import Segment


class Storage:
    """Memory that tensors share.

    Attributes:
        type: dtype, shape of the row-major elements, device.
        value: the contents as a value of ``segment``; stale once that segment has been replaced.
        segment: where ``value`` is meaningful, None for memory not read yet.
        buffer: the runtime's memory that holds the contents, None while they are pending.
        version: counts in-place changes that autograd must know of.
        writes: counts all in-place changes, those through ``Tensor.data`` too.
        exposed: memory that other libraries may see; None, or a callable that tells whether they
            still can.
        writer: weak reference to the autograd node of the last recorded in-place change, or None.
    """

    __slots__ = ("buffer", "exposed", "segment", "type", "value", "version", "writer", "writes")

    def __init__(
        self,
        type: TensorType,
        value: Value | None,
        segment: Segment | None,
        buffer: Any = None,
    ) -> None:
        self.type = type
        self.value = value
        self.segment = segment
        self.buffer = buffer
        self.version = 0
        self.writes = 0
        self.exposed: Any = None
        self.writer: Any = None

    @property
    def updated(self) -> bool:
        """Whether an in-place change is pending."""
        return self.buffer is None and self.writes > 0

    def is_exposed(self) -> bool:
        """Whether another library may read or write this memory now."""
        if self.exposed is not None and not self.exposed():
            self.exposed = None
        return self.exposed is not None
