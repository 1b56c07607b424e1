"""Operations: pure functions over values that become functions over tensors.

The first call with given values builds the IR; later calls with the same values are one look-up.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol, cast

import numpy as np

from treadle import engine
from treadle.autograd_graph.node import Node, edge_of, node_class
from treadle.autograd_graph.template import (
    GradientRule,
    Signature,
    Templates,
    forget_templates,
)
from treadle.ir.errors import UnsupportedDTypeError
from treadle.ir.types import DType, TensorType, float32
from treadle.ir.value import Value
from treadle.out_argument import NUMPY_NAMES, write_out
from treadle.promotion import scalar_name
from treadle.static_key import static_key
from treadle.tensor import Tensor, new_tensor, scalar_tensor
from treadle.tracer.locations import forget_places, note, place
from treadle.tracer.segment import INPUT_LIMIT, PENDING_LIMIT, Segment, recorder

# How many times the limit a segment may grow while the place of the last cut is not reached.
HARD_LIMIT = 4

Body = Callable[..., Any]

# (operation, values, static arguments) -> what the body built, and gradients of such calls.
_memo: dict[Any, tuple[Any, Templates]] = {}
# Calls that differ in their Python numbers alone -> how many different ones there were.
_variations: dict[Any, int] = {}
# What is recorded of a number alone -> the numbers that are constants there.
_constants: dict[Any, set[float]] = {}
_NUMBER = object()  # stands for any number in the key of such calls
# From so many on, the numbers of such calls are inputs of the program rather than constants.
VARIATION_LIMIT = 3

for _forget in (_memo.clear, _variations.clear, _constants.clear, forget_templates, forget_places):
    engine.on_forget(_forget)


class Operation:
    """A pure function over values with the name that autograd shows for it.

    Attributes:
        body: builds the result from values and static arguments.
        name: ``grad_fn`` name, empty where no gradient is recorded.
        rule: gradient rule that replaces the one derived from the IR.
        saves: ``inputs``, ``outputs``, ``numbers`` or None: what the rule is said to keep, None
            derives it.
        overwrites: the first tensor is written to, so that it gets zeros where nothing is left.
        numbers: Python numbers among the arguments may as well be 0-d tensors.
        integers: so may whole numbers beside tensors of integers.
        fixed: numbers that nevertheless stay constants.
    """

    __slots__ = (
        "body", "fixed", "integers", "name", "numbers", "overwrites", "rule", "saves",
    )  # fmt: skip

    def __init__(
        self,
        body: Body,
        name: str = "",
        rule: GradientRule | None = None,
        saves: str | None = None,
        overwrites: bool = False,
        numbers: bool = False,
        fixed: frozenset[float] = frozenset(),
        integers: bool = False,
    ) -> None:
        self.numbers = numbers
        self.integers = integers
        self.fixed = fixed
        self.body = body
        self.name = name
        self.rule = rule
        self.saves = saves
        self.overwrites = overwrites

    def __repr__(self) -> str:
        return f"<operation {self.body.__name__}>"


class _BoundaryReached(Exception):  # noqa: N818  # no error: the recording starts over
    """A leaf with a pending in-place update is read: the step before it ends here."""


class Function(Protocol):
    """An operation as users call it, with tensors."""

    operation: Operation

    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...


class Call:
    """One recorded call: the result's values and what autograd must know.

    Attributes:
        result: a value or a tuple of values.
        tensors, inputs: the tensors among the arguments and their values.
        values, named: the arguments with values in the tensors' places.
        templates: gradients of calls alike, by what is asked for.
        tracked: autograd records the call.
    """

    __slots__ = (
        "inputs", "named", "operation", "result", "segment", "templates", "tensors", "tracked",
        "values",
    )  # fmt: skip

    def __init__(self, operation: Operation, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self._record(operation, args, kwargs)

    def _record(self, operation: Operation, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        state = recorder
        grad_enabled = state.grad_enabled
        while True:
            self.segment = segment = state.segment
            self.tensors: list[Tensor] = []
            self.inputs: list[Value] = []
            self.tracked = False
            key: list[Any] = [operation]
            try:
                self.values = [self._unwrap(a, segment, grad_enabled, key) for a in args]
                self.named = kwargs
                if kwargs:
                    self.named = {}
                    for name, argument in kwargs.items():
                        key.append(name)
                        self.named[name] = self._unwrap(argument, segment, grad_enabled, key)
            except _BoundaryReached:
                state.evaluate()
            if state.segment is segment:
                break
        memo_key = tuple(key)
        found = _memo.get(memo_key)
        if found is None and operation.numbers and self._vary(memo_key, operation):
            fixed = operation.fixed
            arguments = [self._runtime(argument, fixed) for argument in args]
            named = {name: self._runtime(argument, fixed) for name, argument in kwargs.items()}
            given = (*args, *kwargs.values())
            if any(a is not c for a, c in zip((*arguments, *named.values()), given, strict=True)):
                self._record(operation, arguments, named)
                return
        if found is None:
            result = self._build(operation)
            note(result)
            found = _memo[memo_key] = (result, {})
        self.operation = operation
        self.result, self.templates = found

    def _build(self, operation: Operation) -> Any:
        """What the body makes of the arguments; TypeError in PyTorch's words where they misfit."""
        try:
            return operation.body(*self.values, **self.named)
        except UnsupportedDTypeError as error:
            name, kind = operation.body.__name__.strip("_"), scalar_name(error.dtype)
            raise NotImplementedError(f"\"{name}_cpu\" not implemented for '{kind}'") from None
        except (AttributeError, TypeError):
            _check_tensors(operation.body, self.values, self.named)
            raise

    def _vary(self, key: tuple[Any, ...], operation: Operation) -> bool:
        """Whether calls like this one come with ever new numbers, as a learning rate that decays.

        A program for each would be compiled otherwise.
        """
        fixed, dtype = operation.fixed, self._number_dtype()
        if dtype is None or not (operation.integers or dtype.is_floating_point):
            return False
        alike = tuple([_NUMBER if _is_number_key(part, fixed) else part for part in key])
        if _NUMBER not in alike:
            return False
        count = _variations[alike] = _variations.get(alike, 0) + 1
        return count > VARIATION_LIMIT

    def _runtime(self, argument: Any, fixed: frozenset[float]) -> Any:
        """A number as a 0-d tensor of the dtype that it would be converted to."""
        if (type(argument) is not float and type(argument) is not int) or argument in fixed:
            return argument
        dtype = self._number_dtype()
        if dtype is None or (dtype.kind != "f" and not _holds(dtype, argument)):
            return argument
        return runtime_scalar(argument, dtype)

    def _number_dtype(self) -> DType | None:
        """The dtype that numbers are converted to: a floating one, or that of integers."""
        kinds = [value.dtype for value in self.inputs]
        floating = next((dtype for dtype in kinds if dtype.is_floating_point), None)
        return floating or next((dtype for dtype in kinds if dtype.kind in "iu"), None)

    def _unwrap(self, argument: Any, segment: Segment, grad_enabled: bool, key: list[Any]) -> Any:
        """The argument with values for tensors; notes the tensors and extends the memo's key."""
        if isinstance(argument, Tensor):
            if argument._base is not None:
                argument.grad_fn  # noqa: B018  # a view learns here of writes to its base
            if grad_enabled and argument._requires_grad:
                if argument._updated_leaf(segment):
                    raise _BoundaryReached
                self.tracked = True
            value = argument._value(segment)
            self.tensors.append(argument)
            self.inputs.append(value)
            key.append(value)
            return value
        kind = type(argument)
        if kind is tuple or kind is list:
            for item in argument:
                if isinstance(item, Tensor):
                    key.append(len(argument))
                    return tuple([self._unwrap(a, segment, grad_enabled, key) for a in argument])
        key.append(static_key(argument))
        return argument

    def needs_grad(self) -> bool:
        """Whether autograd records this call."""
        return self.tracked and self.operation.name != ""

    def node(self, outputs: Sequence[Tensor]) -> Node:
        """The autograd node from the results back to the tensors among the arguments."""
        segment = self.segment
        result = self.result
        storages = [tensor._storage for tensor in (*self.tensors, *outputs)]
        node = node_class(self.operation.name)(
            self.operation.name,
            Signature(self.operation, tuple(self.values), self.named, self.templates),
            tuple(self.inputs),
            (result,) if type(result) is Value else tuple(result),
            tuple([edge_of(tensor) for tensor in self.tensors]),
            segment,
            tuple([(storage, storage.version, storage.writes) for storage in storages]),
        )
        segment.savers.append(node)
        return node


def _check_tensors(body: Body, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
    """TypeError where an argument that must be a tensor is none."""
    name = body.__name__.strip("_")
    bound = inspect.signature(body).bind(*args, **kwargs)
    for number, (parameter, argument) in enumerate(bound.arguments.items(), 1):
        wanted = body.__annotations__.get(parameter)
        if wanted in ("Value", Value) and not isinstance(argument, Value):
            raise TypeError(
                f"{name}(): argument '{parameter}' (position {number}) must be Tensor, "
                f"not {type(argument).__name__}"
            ) from None


def _holds(dtype: DType, number: float) -> bool:
    limits = np.iinfo(dtype.numpy)
    return type(number) is int and int(limits.min) <= number <= int(limits.max)


def _is_number_key(part: Any, fixed: frozenset[float]) -> bool:
    if type(part) is not tuple or len(part) != 2 or (part[0] is not float and part[0] is not int):
        return False
    # The keys of zeros and NaN are their texts.
    return float(part[1]) not in fixed


def _known_result(
    operation: Operation, args: Sequence[Any], segment: Segment, grad_enabled: bool
) -> Value | None:
    """The value of a call that was recorded before and that autograd need not know of.

    The plainest calls, without the bookkeeping of ``Call``; None where that is needed.
    """
    key: list[Any] = [operation]
    for argument in args:
        if isinstance(argument, Tensor):
            storage = argument._storage
            if (
                storage.exposed is not None
                or argument._view is not None
                or argument._base is not None
                or (grad_enabled and argument._requires_grad)
            ):
                return None
            if storage.segment is segment:
                key.append(storage.value)
            else:
                value = segment.slots.get(id(storage.buffer))
                if value is None or value.type != storage.type:
                    return None
                key.append(value)
        else:
            kind = type(argument)
            if kind is tuple or kind is list:
                return None
            key.append(static_key(argument))
    found = _memo.get(tuple(key))
    return found[0] if found is not None and type(found[0]) is Value else None


def dispatch(operation: Operation, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Runs an operation on tensors and other arguments; results are tensors of their own."""
    if not kwargs:
        state = recorder
        segment = state.segment
        known = _known_result(operation, args, segment, state.grad_enabled)
        if known is not None:
            result = new_tensor(known, segment)
            finish(segment)
            return result
    call = Call(operation, args, kwargs)
    result = call.result
    if type(result) is Value:
        tensor = new_tensor(result, call.segment)
        if call.needs_grad() and result.type.dtype.kind in "fc":
            tensor._requires_grad = True
            tensor._grad_fn = call.node((tensor,))
        finish(call.segment)
        return tensor
    outputs = tuple(new_tensor(value, call.segment) for value in result)
    if call.needs_grad():
        node = call.node(outputs)
        for number, tensor in enumerate(outputs):
            if tensor.dtype.kind in "fc":
                tensor._requires_grad = True
                tensor._grad_fn = node
                tensor._output_nr = number
    finish(call.segment)
    return type(result)(*outputs) if hasattr(result, "_fields") else outputs


def finish(segment: Segment) -> None:
    """Ends an operation recorded in a segment; bounds what is pending."""
    segment.operations += 1
    if segment.operations > PENDING_LIMIT or segment.input_bytes > INPUT_LIMIT:
        _cut_long_segment(segment)
    if segment.cut:
        recorder.evaluate()


def _cut_long_segment(segment: Segment) -> None:
    """Cuts where a long segment was cut before, so that the segments of a loop are alike."""
    here = place()
    too_long = (
        segment.operations > HARD_LIMIT * PENDING_LIMIT
        or segment.input_bytes > HARD_LIMIT * INPUT_LIMIT
    )
    if recorder.cut_place is None or too_long or here == recorder.cut_place:
        recorder.cut_place = here
        segment.cut = True


def operation(
    name: str = "",
    *,
    vjp: GradientRule | None = None,
    saves: str | None = None,
    overwrites: bool = False,
    numbers: bool = False,
    fixed: frozenset[float] = frozenset(),
    integers: bool = False,
) -> Callable[[Body], Function]:
    """Makes a pure function over values callable with tensors.

    The body sees a ``Value`` where the caller passed a tensor (also inside lists and tuples) and
    every other argument as it is; it returns a value or a (named) tuple of values. It runs once
    for given values and arguments, so it must be pure.

    Args:
        name: the ``grad_fn`` name; empty for results that carry no gradient.
        vjp: rule(inputs, outputs, upstreams, **static) -> a gradient or None for each tensor
            argument in order; the default derives it from the IR.
        saves: ``inputs`` or ``outputs``: the tensors whose in-place change makes a later backward
            an error; by default those that the gradient reads. ``numbers``: as by default, but a
            second backward is an error though only a Python number was saved.
        overwrites: the first tensor is written to: its gradient is zeros, not None, where the
            result no longer depends on it.
        numbers: the body takes a 0-d value wherever it takes a Python number. Numbers that change
            from call to call then become inputs of the program.
        fixed: numbers that stay constants even so, as the body treats them apart.
        integers: the same holds for whole numbers beside tensors of integers.
    """

    def decorate(body: Body) -> Function:
        row = Operation(body, name, vjp, saves, overwrites, numbers, fixed, integers)

        @functools.wraps(body)
        def call(*args: Any, **kwargs: Any) -> Any:
            if not kwargs:
                return dispatch(row, args, kwargs)
            out = kwargs.pop("out", None)
            named = {NUMPY_NAMES.get(name, name): item for name, item in kwargs.items()}
            results = dispatch(row, args, named)
            if out is None:
                return results
            return write_out(results, out, args, body.__name__.strip("_"))

        function: Any = call
        function.operation = row
        return cast(Function, call)

    return decorate


def update(mutates: int) -> Callable[[Body], Callable[..., None]]:
    """Makes a pure function the in-place update of its first ``mutates`` tensor arguments.

    Results replace the contents of those tensors in order, outside autograd. Shapes and dtypes
    must be kept.
    """

    def decorate(body: Body) -> Callable[..., None]:
        row = Operation(body)

        @functools.wraps(body)
        def call(*args: Any, **kwargs: Any) -> None:
            enabled = recorder.grad_enabled
            recorder.grad_enabled = False
            try:
                recorded = Call(row, args, kwargs)
                results = recorded.result
                results = results if type(results) is tuple else (results,)
                for target, result in zip(recorded.tensors[:mutates], results, strict=True):
                    target._replace(result)
                finish(recorder.segment)
            finally:
                recorder.grad_enabled = enabled

        return call

    return decorate


def runtime_scalar(value: float, dtype: DType = float32) -> Tensor:
    """A 0-d tensor whose number is not baked into programs."""
    return scalar_tensor(value, TensorType(dtype, ()))


def changing_number(key: Any, number: Any, dtype: DType) -> Any:
    """A number that is recorded without tensors beside it, as that of ``full``.

    Once more than three different ones came under a key, a 0-d tensor of it: a program for each
    would be compiled otherwise.
    """
    if (type(number) is not float and type(number) is not int) or number != number:
        return number
    constants = _constants.setdefault(key, set())
    if number in constants:
        return number
    if len(constants) < VARIATION_LIMIT:
        constants.add(number)
        return number
    fits = dtype.kind in "fc" or (dtype.kind in "iu" and _holds(dtype, number))
    return runtime_scalar(number, dtype) if fits else number
