"""What follows a contraction, evaluated where its sums are: on registers before the only store.

Works for one point of the index space or the lanes of a vector; which, the caller decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from treadle.codegen.element import Elements
from treadle.codegen.loops import (
    Apply,
    Buffer,
    Expression,
    Let,
    Read,
    Register,
    Statement,
    Store,
)
from treadle.codegen.schedules.contraction_problem import Problem
from treadle.ir.access import Position
from treadle.ir.index import Index, Var, substitute
from treadle.ir.value import LoopClass, Value


def moved(position: Position, at: Mapping[Var, Index]) -> Position:
    """A position with axes replaced by expressions."""
    return tuple(substitute(index, at) for index in position)


class Epilogue:
    """The outputs of a problem as functions of the finished sum.

    Attributes:
        trivial: whether the outputs are the product itself.
    """

    def __init__(
        self, problem: Problem, inputs: Sequence[Buffer], outputs: Sequence[Buffer]
    ) -> None:
        self.problem = problem
        self.inputs = inputs
        self.outputs = outputs
        self.indices = [problem.output_index(number) for number in range(len(outputs))]
        self.trivial = not any(
            value.op.loop_class is LoopClass.ELEMENTWISE for value in problem.places
        )

    def statements(
        self, total: Expression, at: Mapping[Var, Index], lanes: int
    ) -> tuple[Statement, ...]:
        """Every output at one point, or in every lane; all are computed before any is stored.

        An output may be the memory of an input that another output reads at the same point.
        """
        problem, product = self.problem, self.problem.product
        if total.dtype is not product.dtype:
            total = Apply("cast", (total,), product.dtype)
        name = Register("sum", product.dtype, lanes)
        elements = Elements(self.inputs, {product: lambda _position, _guard: Read(name)})
        results: list[Statement] = [Let(name, total)]
        named: dict[Value, Expression] = {}
        for number, value in enumerate(problem.body.outputs):
            if value in named:
                continue
            result = elements.at(value, moved(problem.places[value], at))
            named[value] = result
            if not isinstance(result, Read):
                register = Register(f"result{number}", value.dtype, lanes)
                results.append(Let(register, result))
                named[value] = Read(register)
        stores = [
            Store(buffer, substitute(index, at), named[value])
            for buffer, index, value in zip(
                self.outputs, self.indices, problem.body.outputs, strict=True
            )
        ]
        return (*results, *stores)
