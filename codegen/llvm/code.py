"""The text of one function while it grows: names, nested blocks and what is already computed.

It knows dominance (where a value may be used again) and nothing of what is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable

from treadle.codegen.llvm.types import Value, splat_text, type_of, vector_text
from treadle.ir.index import Var
from treadle.ir.types import DType, int32

# A loaded or computed value and the names of the buffers and registers it was computed from.
Computed = tuple[Value, frozenset[str]]


class Scope:
    """The body of a loop or branch: its lines dominate all that is nested in it.

    Attributes:
        lines: instructions so far.
        block: label of the block being written.
        pure: values that depend on loop variables only.
        computed: values that also depend on memory or registers.
        readers: for each buffer or register, the keys in ``computed`` that depend on it.
    """

    __slots__ = ("block", "computed", "lines", "pure", "readers")

    def __init__(self, block: str) -> None:
        self.lines: list[str] = []
        self.block = block
        self.pure: dict[Hashable, Value] = {}
        self.computed: dict[Hashable, Computed] = {}
        self.readers: dict[str, list[Hashable]] = {}


class Code:
    """A function being written.

    Attributes:
        scopes: from the function's body to the innermost loop or branch.
        numbers: loop variables that are numbers here (unrolled, or of extent 1).
        variables: other scalar loop variables and the depth of the scope that defines them.
        lane: variable of the ``LANES`` loop around, if any.
        lanes: vector length there.
        active: lanes that run; the rest is masked.
    """

    def __init__(self) -> None:
        self.scopes = [Scope("entry")]
        self.numbers: dict[Var, int] = {}
        self.variables: dict[Var, tuple[str, int]] = {}
        self.lane: Var | None = None
        self.lanes = 0
        self.active = 0
        self._count = 0

    @property
    def here(self) -> Scope:
        """The innermost scope."""
        return self.scopes[-1]

    def fresh(self, prefix: str) -> str:
        """A name not used before."""
        self._count += 1
        return f"{prefix}{self._count}"

    def emit(self, instruction: str, depth: int = -1) -> str:
        """Append an instruction with a result to a scope; its name."""
        name = f"%{self.fresh('v')}"
        self.scopes[depth].lines.append(f"  {name} = {instruction}")
        return name

    def effect(self, instruction: str) -> None:
        """Append an instruction without a result."""
        self.scopes[-1].lines.append(f"  {instruction}")

    def value(self, instruction: str, dtype: DType, lanes: int = 0, depth: int = -1) -> Value:
        """Append an instruction; its result as an operand."""
        return Value(self.emit(instruction, depth), dtype, lanes)

    # --- what is known already --------------------------------------------------------------------

    def known(self, key: Hashable) -> Value | None:
        """A pure value computed in a scope around."""
        for scope in reversed(self.scopes):
            found = scope.pure.get(key)
            if found is not None:
                return found
        return None

    def computed(self, key: Hashable) -> Computed | None:
        """A value read from memory or registers, if nothing wrote to its sources since."""
        for scope in reversed(self.scopes):
            found = scope.computed.get(key)
            if found is not None:
                return found
        return None

    def remember(self, key: Hashable, value: Value, reads: frozenset[str]) -> None:
        """Keep a value until its scope ends or a source is written."""
        scope = self.scopes[-1]
        scope.computed[key] = value, reads
        for name in reads:
            scope.readers.setdefault(name, []).append(key)

    def forget(self, written: Iterable[str]) -> None:
        """Drop what depends on buffers or registers that are written."""
        for name in written:
            for scope in self.scopes:
                for key in scope.readers.pop(name, ()):
                    scope.computed.pop(key, None)

    # --- vectors ----------------------------------------------------------------------------------

    def splat(self, value: Value, lanes: int, depth: int = -1) -> Value:
        """A scalar in every lane."""
        if value.lanes or not lanes:
            return value
        if value.literal:
            return Value(splat_text(value), value.dtype, lanes)
        key = ("splat", value.text, lanes)
        found = self.known(key)
        if found is None:
            vector = type_of(value.dtype, lanes)
            first = self.emit(f"insertelement {vector} poison, {value.typed}, i64 0", depth)
            found = self.shuffle(Value(first, value.dtype, lanes), None, [0] * lanes, depth)
            self.scopes[depth].pure[key] = found
        return found

    def shuffle(
        self, first: Value, second: Value | None, order: list[int], depth: int = -1
    ) -> Value:
        """Lanes picked from one or two vectors."""
        other = second.typed if second is not None else f"{first.type} poison"
        picks = "zeroinitializer" if not any(order) else vector_text(list(map(str, order)), int32)
        instruction = f"shufflevector {first.typed}, {other}, <{len(order)} x i32> {picks}"
        return self.value(instruction, first.dtype, len(order), depth)

    def extract(self, value: Value, lane: int) -> Value:
        """One lane of a vector; a scalar is every lane's."""
        if not value.lanes:
            return value
        return self.value(f"extractelement {value.typed}, i64 {lane}", value.dtype)

    def tail_mask(self, dtype: DType) -> Value | None:
        """The mask of the lanes that run, or None where all do; ``dtype`` is bool."""
        if self.lane is None or self.active == self.lanes:
            return None
        bits = ["true" if lane < self.active else "false" for lane in range(self.lanes)]
        return Value(vector_text(bits, dtype), dtype, self.lanes)

    # --- branches ---------------------------------------------------------------------------------

    def open(self, label: str) -> Scope:
        """Begin a nested scope whose first block has that label."""
        scope = Scope(label)
        self.scopes.append(scope)
        return scope

    def close(self) -> Scope:
        """End the innermost scope; the caller places its lines."""
        return self.scopes.pop()

    def place(self, label: str, lines: Iterable[str]) -> None:
        """Append a block and what is nested in it."""
        scope = self.scopes[-1]
        scope.lines.append(f"{label}:")
        scope.lines.extend(lines)

    def continue_in(self, label: str) -> None:
        """Begin the block that the innermost scope goes on in."""
        scope = self.scopes[-1]
        scope.lines.append(f"{label}:")
        scope.block = label

    def branch(self, condition: Value, body: Callable[[], None]) -> tuple[str, str]:
        """Run ``body`` where a scalar condition holds.

        Returns the labels of the blocks from which the text after it is reached: the last block
        of the body, and the block of the test.
        """
        then, join = self.fresh("then"), self.fresh("join")
        self.open(then)
        body()
        scope = self.close()
        test = self.here.block
        self.effect(f"br {condition.typed}, label %{then}, label %{join}")
        self.place(then, scope.lines)
        self.effect(f"br label %{join}")
        self.continue_in(join)
        return scope.block, test
