"""``autograd.Function``: operations whose backward users write themselves.

Both directions are recorded like all other code; nothing runs outside the compiler.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from treadle.autograd.grad_mode import no_grad
from treadle.autograd_graph.node import SECOND_BACKWARD, Node, edge_of, modified_since
from treadle.functions.creation import zeros
from treadle.functions.movement import view
from treadle.tensor import Tensor
from treadle.tracer.segment import recorder


class FunctionContext:
    """What ``forward`` hands to ``backward``; attributes may be added freely."""

    def __init__(self) -> None:
        self._saved: tuple[tuple[Tensor | None, int, int], ...] = ()
        self._dirty: tuple[Tensor, ...] = ()
        self._nondifferentiable: tuple[Tensor, ...] = ()
        self._materialize = True
        self._freed = False
        self._node: CustomNode | None = None
        self.needs_input_grad: tuple[bool, ...] = ()

    def save_for_backward(self, *tensors: Tensor | None) -> None:
        """Keeps tensors for ``backward``, which notices when they were changed in place."""
        self._saved = tuple(
            (tensor, *_state(tensor)) if tensor is not None else (None, 0, 0) for tensor in tensors
        )

    @property
    def saved_tensors(self) -> tuple[Tensor | None, ...]:
        """The tensors of ``save_for_backward``.

        Raises RuntimeError after they were freed or changed in place.
        """
        if self._freed:
            raise RuntimeError(SECOND_BACKWARD)
        for tensor, version, _writes in self._saved:
            if tensor is not None and tensor._storage.version != version:
                raise modified_since(tensor._storage, version)
        return tuple(tensor for tensor, _version, _writes in self._saved)

    def save_for_forward(self, *tensors: Tensor | None) -> None:
        """Keeps tensors for ``jvp``."""
        self.saved_for_forward = tensors

    def mark_dirty(self, *tensors: Tensor) -> None:
        """Says which arguments ``forward`` changed in place."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors: Tensor) -> None:
        """Says which results carry no gradient."""
        self._nondifferentiable = tensors

    def set_materialize_grads(self, value: bool) -> None:
        """Whether ``backward`` gets zeros (True) or None for results without gradient."""
        self._materialize = value


FunctionCtx = FunctionContext  # PyTorch's name


def _state(tensor: Tensor) -> tuple[int, int]:
    return tensor._storage.version, tensor._storage.writes


class CustomNode(Node):
    """The node of a ``Function``: runs the user's ``backward``."""

    def __init__(
        self,
        function: type[Function],
        context: FunctionContext,
        inputs: Sequence[Any],
        results: Sequence[Tensor],
    ) -> None:
        segment = recorder.segment
        edges = tuple(edge_of(item) if isinstance(item, Tensor) else None for item in inputs)
        values = tuple(result._value(segment) for result in results)
        super().__init__(f"{function.__name__}Backward", None, (), values, edges, segment, ())
        self.function = function
        self.context = context
        self.shapes = tuple(item.shape if isinstance(item, Tensor) else None for item in inputs)
        self.results = tuple((result.shape, result.dtype, result.device) for result in results)

    def __getattr__(self, name: str) -> Any:
        """What ``forward`` noted on its context; in PyTorch the two are one object."""
        context = self.__dict__.get("context")
        if context is None or name.startswith("__"):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(context, name)

    def apply_backward(self, upstreams: Sequence[Tensor | None]) -> Sequence[Tensor | None]:
        """Gradients of all arguments, from the user's code."""
        given = list(upstreams)
        if self.context._materialize:
            for number, (shape, dtype, device) in enumerate(self.results):
                if given[number] is None:
                    given[number] = zeros(shape, dtype=dtype, device=device)
        answer = self.function.backward(self.context, *given)
        answers = answer if isinstance(answer, tuple) else (answer,)
        extra = answers[len(self.edges) :]
        if len(answers) < len(self.edges) or any(item is not None for item in extra):
            raise RuntimeError(
                f"function {self.function.__name__}Backward returned an incorrect number of "
                f"gradients (expected {len(self.edges)}, got {len(answers)})"
            )
        return [self._fitting(number, answers[number]) for number in range(len(self.edges))]

    def _fitting(self, number: int, gradient: Tensor | None) -> Tensor | None:
        """A gradient in its argument's shape: summed where it was broadcast, as PyTorch does."""
        expected = self.shapes[number]
        if gradient is None or expected is None or gradient.shape == expected:
            return gradient
        lead = gradient.ndim - len(expected)
        pairs = list(zip(gradient.shape[max(lead, 0) :], expected, strict=False))
        if lead < 0 or any(wanted not in (1, have) for have, wanted in pairs):
            raise RuntimeError(
                f"Function {self.function.__name__}Backward returned an invalid gradient at index "
                f"{number} - got {list(gradient.shape)} but expected shape compatible with "
                f"{list(expected)}"
            )
        grown = [lead + axis for axis, (have, wanted) in enumerate(pairs) if have != wanted]
        summed: Tensor = gradient.sum([*range(lead), *grown]).reshape(expected)
        return summed

    def release(self) -> None:
        """Gives up the saved tensors."""
        super().release()
        self.context._saved = ()
        self.context._freed = True


class Function:
    """Base of operations with a backward of their own.

    Subclasses define static ``forward(ctx, *args)`` (or ``forward(*args)`` beside
    ``setup_context(ctx, inputs, output)``) and ``backward(ctx, *grad_outputs)``, which returns one
    gradient or None for each argument of ``forward``. Call ``apply``.
    """

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Computes the results from the arguments."""
        raise NotImplementedError(
            "You must implement the forward function for custom autograd.Function."
        )

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Computes the gradients of the arguments."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom "
            "autograd.Function to use it with backward mode AD."
        )

    setup_context: Callable[..., None] | None = None
    _backward_cls: type[CustomNode] = CustomNode

    def __init_subclass__(cls) -> None:
        """Names the class of the nodes, which ``type(grad_fn)`` shows."""
        super().__init_subclass__()
        cls._backward_cls = type(f"{cls.__name__}Backward", (CustomNode,), {})

    @classmethod
    def apply(cls, *args: Any) -> Any:
        """Runs ``forward`` and attaches ``backward`` to its results."""
        context = FunctionContext()
        tensors = [item for item in args if isinstance(item, Tensor)]
        context.needs_input_grad = tuple(
            isinstance(item, Tensor) and item.requires_grad for item in args
        )
        needed = recorder.grad_enabled and any(context.needs_input_grad)
        before = recorder.grad_enabled
        recorder.grad_enabled = False
        try:
            if cls.setup_context is None:
                output = cls.forward(context, *args)
            else:
                output = cls.forward(*args)
                cls.setup_context(context, args, output)
        finally:
            recorder.grad_enabled = before
        single = isinstance(output, Tensor)
        outputs = (output,) if single else tuple(output)
        if not needed:
            return output
        results = tuple(
            _own(item, tensors, context) if isinstance(item, Tensor) else item for item in outputs
        )
        cls._attach(context, args, results)
        return results[0] if single else results

    @classmethod
    def _attach(cls, context: FunctionContext, args: Sequence[Any], results: Sequence[Any]) -> None:
        tensors = [result for result in results if isinstance(result, Tensor)]
        node = cls._backward_cls(cls, context, args, tensors)
        recorder.segment.savers.append(node)
        silent = {id(tensor._storage) for tensor in context._nondifferentiable}
        for number, result in enumerate(tensors):
            if id(result._storage) not in silent and result.dtype.kind in "fc":
                result.requires_grad = True
                result._grad_fn, result._output_nr = node, number


def _own(result: Tensor, arguments: Sequence[Tensor], context: FunctionContext) -> Tensor:
    """A result that can carry the node: an argument returned as it is becomes a view."""
    changed = any(result is dirty for dirty in context._dirty)
    if not changed and any(result is argument for argument in arguments):
        return view(result.detach(), *result.shape)
    return result


class _Refused(Function):
    """Passes gradients on and refuses to be differentiated."""

    @staticmethod
    def forward(ctx: Any, anchor: Tensor, *outputs: Tensor) -> Any:
        """The outputs, as results that depend on ``anchor``."""
        return tuple(output.detach() for output in outputs)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Raises RuntimeError."""
        raise RuntimeError(
            "trying to differentiate twice a function that was marked with @once_differentiable"
        )


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a ``backward`` that must not be differentiated itself."""

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any) -> Any:
        with no_grad():
            found = fn(ctx, *args)
        anchors = [item for item in args if isinstance(item, Tensor) and item.requires_grad]
        if not recorder.grad_enabled or not anchors:
            return found
        outputs = found if isinstance(found, tuple) else (found,)
        tensors = iter(_Refused.apply(anchors[0], *(item for item in outputs if item is not None)))
        refused = tuple(None if item is None else next(tensors) for item in outputs)
        return refused if isinstance(found, tuple) else refused[0]

    return wrapper
