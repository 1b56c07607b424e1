"""Loop IR: one kernel as loops, index expressions, loads, scalar code and stores.

Schedules decide everything here (order, tiles, lanes, tasks); emitters only print it. The lanes of
a ``LANES`` loop are SIMD lanes on a CPU and the threads of a block on a GPU.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

from treadle.ir.index import Bound, Index, Var, variables
from treadle.ir.types import DType, Scalar


class Space(enum.Enum):
    """Where a buffer lives."""

    ARGUMENT = "argument"  # memory handed to the kernel
    SCRATCH = "scratch"  # memory of one task: the stack of a CPU thread, shared memory of a block


@dataclass(frozen=True)
class Buffer:
    """Elements in memory, addressed by a flat index."""

    name: str
    dtype: DType
    size: int
    space: Space = Space.ARGUMENT


@dataclass(frozen=True)
class Register:
    """A mutable scalar, or a small array of them when ``shape`` is not empty.

    ``lanes`` above 0 gives every lane its own copy; it must equal the lanes of the loops that
    use it. Positions in ``shape`` must be numbers once ``UNROLL`` loops are expanded. The register
    of a ``Let`` knows in ``depends`` which loop variables its value follows, so that an address
    computed from it is known to differ between lanes or iterations.
    """

    name: str
    dtype: DType
    lanes: int = 0
    shape: tuple[int, ...] = ()
    depends: frozenset[Var] = field(default=frozenset(), compare=False, repr=False)


# --- scalar expressions ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Const:
    """A number."""

    value: Scalar
    dtype: DType

    def variables(self) -> frozenset[Var]:
        """Loop variables that the expression depends on."""
        return frozenset()


@dataclass(frozen=True)
class Load:
    """An element of a buffer; ``default`` where a guard does not hold (nothing is read then)."""

    buffer: Buffer
    index: Index
    guard: tuple[Bound, ...] = ()
    default: Scalar = 0

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.buffer.dtype

    def variables(self) -> frozenset[Var]:
        """Loop variables that the expression depends on."""
        found = variables(self.index)
        return found.union(*(variables(bound.index) for bound in self.guard))


@dataclass(frozen=True)
class Position:
    """An index expression as a number of a dtype."""

    index: Index
    dtype: DType

    def variables(self) -> frozenset[Var]:
        """Loop variables that the expression depends on."""
        return variables(self.index)


@dataclass(frozen=True)
class Holds:
    """Whether all bounds hold (dtype bool)."""

    guard: tuple[Bound, ...]
    dtype: DType

    def variables(self) -> frozenset[Var]:
        """Loop variables that the expression depends on."""
        return frozenset().union(*(variables(bound.index) for bound in self.guard))


@dataclass(frozen=True, eq=False)
class Apply:
    """A scalar op on expressions: the tensor op of that name on one element.

    Beside the elementwise ops of tensor IR (``cast`` converts to ``dtype``, ``bitcast`` keeps the
    bits), emitters know ``fma`` (x*y+z rounded once), ``mulhi`` (high half of a u32 product),
    ``number_max``/``number_min`` (a NaN operand is ignored), ``select_rare`` (``select`` whose
    first choice is rarely taken and may be branched around) and ``sin_library``/``cos_library``
    (the target's own function, for float64 arguments too large to reduce in loop IR).
    """

    op: str
    args: tuple[Expression, ...]
    dtype: DType

    @cached_property
    def _variables(self) -> frozenset[Var]:
        return frozenset().union(*(arg.variables() for arg in self.args))

    def variables(self) -> frozenset[Var]:
        """Loop variables that the expression depends on."""
        return self._variables


@dataclass(frozen=True)
class Read:
    """The current value of a register."""

    register: Register
    position: tuple[Index, ...] = ()

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.register.dtype

    def variables(self) -> frozenset[Var]:
        """Loop variables that the expression depends on; for a variable register, its position."""
        return self.register.depends.union(*(variables(index) for index in self.position))


@dataclass(frozen=True)
class AcrossLanes:
    """The lanes of a register combined in a fixed order: ``add mul maximum minimum and or``."""

    op: str
    register: Register
    position: tuple[Index, ...] = ()

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.register.dtype

    def variables(self) -> frozenset[Var]:
        """Loop variables that the expression depends on."""
        return frozenset().union(*(variables(index) for index in self.position))


Expression: TypeAlias = Const | Load | Position | Holds | Apply | Read | AcrossLanes

# --- statements -----------------------------------------------------------------------------------


class LoopKind(enum.Enum):
    """How a loop runs."""

    TASKS = "tasks"  # outermost only: independent iterations, one call each
    SERIAL = "serial"
    UNROLL = "unroll"  # expanded by the emitter; extents are small
    LANES = "lanes"  # at most the target's lanes; one vector instruction an op, masked if fewer


@dataclass(frozen=True)
class For:
    """A loop over ``var``.

    Attributes:
        lanes: for ``LANES`` loops, the lanes of the vectors used (>= var.extent).
    """

    var: Var
    kind: LoopKind
    body: tuple[Statement, ...]
    lanes: int = 0


@dataclass(frozen=True)
class Assign:
    """Sets a register (in every lane inside a ``LANES`` loop; only active lanes when masked)."""

    register: Register
    value: Expression
    position: tuple[Index, ...] = ()


@dataclass(frozen=True)
class Store:
    """Writes an element where the guard holds."""

    buffer: Buffer
    index: Index
    value: Expression
    guard: tuple[Bound, ...] = ()


@dataclass(frozen=True)
class When:
    """Statements that run where the guard holds; the guard must be the same for all lanes."""

    guard: tuple[Bound, ...]
    body: tuple[Statement, ...]


@dataclass(frozen=True)
class Let:
    """Names an expression that later statements of the same body read through ``Read``.

    A register set once; emitters keep it as an SSA value and need no memory for it. It is not
    listed in ``Kernel.registers``.
    """

    register: Register
    value: Expression


Statement: TypeAlias = For | Assign | Store | When | Let


@dataclass(frozen=True)
class Kernel:
    """One kernel.

    Attributes:
        name: symbol; equal kernels have equal text but for it.
        arguments: buffers in the order of the call: inputs, then outputs.
        writes: how many of the last arguments are written.
        body: at most one ``TASKS`` loop, outermost and alone.
        scratch, registers: declared for one task; ``Let`` declares its own register.
    """

    name: str
    arguments: tuple[Buffer, ...]
    writes: int
    body: tuple[Statement, ...]
    scratch: tuple[Buffer, ...] = ()
    registers: tuple[Register, ...] = ()

    @property
    def tasks(self) -> int:
        """Independent tasks."""
        first = self.body[0] if self.body else None
        if isinstance(first, For) and first.kind is LoopKind.TASKS:
            return first.var.extent
        return 1
