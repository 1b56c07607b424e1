"""Nodes of the autograd graph: from the results of one operation back to its tensor arguments.

A node knows values and how to differentiate the operation; running the graph is ``backward``'s.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from treadle.autograd_graph.template import Signature, Template, instantiate, template_of
from treadle.ir.value import Value
from treadle.tracer.locations import inherit
from treadle.tracer.segment import Segment, recorder
from treadle.tracer.storage import Storage

if TYPE_CHECKING:
    from treadle.tensor import Tensor

Edge: TypeAlias = "tuple[Node, int] | None"
Saved: TypeAlias = tuple[Storage, int, int]  # storage, its version and its writes then

_sequence = itertools.count(1)

_IN_NAMESPACE = ("AccumulateGrad", "CopySlices")
# Where PyTorch makes a tensor of a number, which then shows as an argument without gradient.
_ARITHMETIC = ("AddBackward0", "SubBackward0", "MulBackward0", "DivBackward0")

SECOND_BACKWARD = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you "
    "call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward "
    "through the graph a second time or if you need to access saved tensors after calling "
    "backward."
)


def modified_since(storage: Storage, version: int, source: Edge = None) -> RuntimeError:
    """The error of a saved tensor that is no longer what it was at ``version``.

    ``source`` is the node that made it and the number of the result.
    """
    type = storage.type
    node, number = source or (None, 0)
    named = ""
    if node is not None and node.signature is not None:
        named = f", which is output {number} of {node.label.removesuffix('Backward0')},"
    return RuntimeError(
        "one of the variables needed for gradient computation has been modified by an inplace "
        f"operation: [{_type_name(type.dtype.name)} {list(type.shape)}]{named} is at version "
        f"{storage.version}; expected version {version} instead. Hint: enable anomaly detection to "
        "find the operation that failed to compute its gradient, with "
        "torch.autograd.set_detect_anomaly(True, check_nan=False)."
    )


MODIFIED_BASE = "its base or another view of its base has been modified"


def modified_view(node: Node, number: int, what: str) -> RuntimeError:
    """The error of a write to one of several views that one operation made, or to their base."""
    return RuntimeError(
        f"Output {number} of {node.label.removesuffix('Backward0')} is a view and {what} inplace. "
        "This view is the output of a function that returns multiple views. Such functions do not "
        "allow the output views to be modified inplace. You should replace the inplace operation "
        "by an out-of-place one."
    )


class Node:
    """The gradient of one operation.

    Attributes:
        signature: how the operation was called.
        inputs, outputs: values of its tensor arguments and results in ``segment``.
        edges: for each tensor argument where its gradient goes, None where it needs none.
        saved: storages of the arguments, then of the results.
        watched: which of them must not change, None for all.
        sequence: nodes made later have a higher number.
        hooks: functions on the gradient of an output, by output number.
        pre_hooks: functions on all output gradients; post_hooks: on the input gradients.
    """

    # Defaults live on the class: most nodes are made, run once and dropped.
    released: bool = False
    watched: tuple[bool, ...] | None = None
    hooks: dict[int, dict[int, Callable[..., Any]]] | None = None
    pre_hooks: dict[int, Callable[..., Any]] | None = None
    post_hooks: dict[int, Callable[..., Any]] | None = None
    retain: dict[int, Any] | None = None
    # What ``autograd.graph`` attaches.
    register_hook: Callable[..., Any]
    register_prehook: Callable[..., Any]
    _metadata: dict[str, Any] | None = None

    def __init__(
        self,
        label: str,
        signature: Signature | None,
        inputs: tuple[Value, ...],
        outputs: tuple[Value, ...],
        edges: tuple[Edge, ...],
        segment: Segment,
        saved: tuple[Saved, ...],
    ) -> None:
        self.label = label
        self.signature = signature
        self.inputs = inputs
        self.outputs = outputs
        self.edges = edges
        self.segment = segment
        self.saved = saved
        self.sequence = next(_sequence)

    def name(self) -> str:
        """PyTorch's name of the node, such as ``MulBackward0``."""
        return f"torch::autograd::{self.label}" if self.label in _IN_NAMESPACE else self.label

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """Where gradients of the inputs go: (node, output number) pairs."""
        if self.signature is not None and self.label in _ARITHMETIC:
            edges = iter(self.edges)
            numbers = (next(edges) if isinstance(a, Value) else None for a in self.signature.args)
            return tuple((None, 0) if edge is None else edge for edge in numbers)
        # Indices, masks and the like never have a gradient; PyTorch does not show them.
        types = [value.type.dtype.kind for value in self.inputs] or ["f"] * len(self.edges)
        shown = zip(self.edges, types, strict=True)
        return tuple(edge or (None, 0) for edge, kind in shown if edge or kind in "fc")

    def __getattr__(self, name: str) -> Any:
        """What the node saved, under PyTorch's names: ``_saved_self``, ``_saved_result`` ..."""
        if name.startswith("_saved_") and self.signature is not None:
            return _saved_tensor[0](self, name.removeprefix("_saved_"))
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def metadata(self) -> dict[str, Any]:
        """What users note about the node."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    def __repr__(self) -> str:
        return f"<{self.label} object at {id(self):#x}>"

    # -- what evaluation must keep ---------------------------------------------------------------

    def saved_storages(self) -> Iterator[Storage]:
        """Storages that this node refers to only to notice changes."""
        return (storage for storage, _version, _writes in self.saved)

    def needed_values(self) -> Iterable[Value]:
        """Forward values of ``segment`` that the gradient will read."""
        if self.released or self.signature is None:
            return ()
        try:
            template = self._template((True,) * len(self.outputs))
        except RuntimeError:
            return ()  # a function without a derivative says so where backward asks for it
        actual = (*self.inputs, *self.outputs, *(None,) * len(self.outputs))
        found = instantiate(template, template.kept, actual)
        return [value for value in found if value is not None]

    # -- gradients -------------------------------------------------------------------------------

    def _template(self, present: Sequence[bool]) -> Template:
        assert self.signature is not None
        key = (tuple([edge is not None for edge in self.edges]), tuple(present))
        found = self.signature.templates.get(key)
        if found is None:
            found = template_of(self.signature, self.outputs, *key)
            self.signature.templates[key] = found
        return found

    def gradient(self, upstreams: Sequence[Value | None]) -> Sequence[Value | None]:
        """Gradients of the inputs as values of the current segment.

        Raises RuntimeError when the node was released or a value it reads was changed in place.
        """
        template = self._template([upstream is not None for upstream in upstreams])
        inputs, outputs = self.current_values(template)
        found = instantiate(template, template.gradients, (*inputs, *outputs, *upstreams))
        inherit(found, self.outputs[0])
        return found

    def current_values(
        self, template: Template
    ) -> tuple[tuple[Value | None, ...], tuple[Value | None, ...]]:
        """The inputs and outputs that the gradient reads, over the current segment.

        Raises RuntimeError for what was given up or changed in place.
        """
        used = self._used(template)
        assert self.signature is not None
        if self.released and (any(used) or self.signature.operation.saves == "numbers"):
            raise RuntimeError(SECOND_BACKWARD)
        segment = recorder.segment
        read = (*template.used_inputs, *template.used_outputs)
        values: list[Value | None] = [
            segment.bring(self.segment, value) if wanted else None
            for value, wanted in zip((*self.inputs, *self.outputs), read, strict=True)
        ]
        for number, (storage, version, writes) in enumerate(self.saved):
            if not (used[number] and self._watches(number)):
                continue
            if storage.version != version:
                raise modified_since(storage, version, self._source(number))
            if storage.exposed is not None:
                segment.cut = True  # others may change this memory once the caller goes on
            here = values[number]
            if storage.writes != writes and here is not None and here.shape == storage.type.shape:
                # Changed through ``.data``: PyTorch reads the new contents and so do we.
                values[number] = segment.read(storage)
        return tuple(values[: len(self.inputs)]), tuple(values[len(self.inputs) :])

    def _source(self, number: int) -> Edge:
        """What made a saved tensor: an argument, or else a result of this node."""
        count = len(self.edges)
        if number >= count:
            return (self, number - count)
        writer = self.saved[number][0].writer
        last = None if writer is None else writer()
        return self.edges[number] if last is None else (last, 0)

    def _watches(self, number: int) -> bool:
        return self.watched is None or number >= len(self.watched) or self.watched[number]

    def _used(self, template: Template) -> Sequence[bool]:
        assert self.signature is not None
        saves = self.signature.operation.saves
        if saves is None or saves == "numbers":
            return (*template.used_inputs, *template.used_outputs)
        inputs = (saves == "inputs",) * len(self.inputs)
        return (*inputs, *(saves == "outputs",) * len(self.outputs))

    def release(self) -> None:
        """Gives up what was saved, after the gradient was computed."""
        if not self.released:
            self.released = True
            self.saved = ()


_saved_tensor: list[Callable[[Node, str], Any]] = []


def set_saved_tensor(read: Callable[[Node, str], Any]) -> None:
    """Installs the function that gives what a node saved as a tensor, which needs tensors."""
    _saved_tensor[:] = [read]


_classes: dict[str, type[Node]] = {}


def node_class(label: str) -> type[Node]:
    """The class of nodes of that name, so that ``type(grad_fn)`` shows it."""
    found = _classes.get(label)
    if found is None:
        found = _classes[label] = type(label, (Node,), {"__module__": "builtins"})
    return found


class AccumulateGrad(Node):
    """The end of the graph at a leaf: adds to its ``grad``."""

    def __init__(self, leaf: Any) -> None:
        super().__init__("AccumulateGrad", None, (), (), (), recorder.segment, ())
        self.segment = None  # type: ignore[assignment]  # a leaf outlives segments
        self.sequence = 0
        self._leaf = leaf  # a weak reference: the leaf owns this node
        # Functions on the gradient that arrived, after it was added.
        self.arrival_hooks: dict[int, Callable[..., Any]] = {}

    @property
    def variable(self) -> Tensor | None:
        """The leaf."""
        leaf: Tensor | None = self._leaf()
        return leaf


def edge_of(tensor: Tensor) -> Edge:
    """Where the gradient of a tensor goes, None where it needs none."""
    if not tensor._requires_grad:
        return None
    node = tensor.grad_fn
    if node is not None:
        return (node, tensor._output_nr)
    return (tensor._accumulator(), 0)


def _type_name(dtype: str) -> str:
    names = {
        "float32": "Float", "float64": "Double", "float16": "Half", "int64": "Long",
        "bfloat16": "BFloat16", "complex64": "ComplexFloat", "complex128": "ComplexDouble",
    }  # fmt: skip
    return f"torch.{names.get(dtype, dtype.capitalize())}Tensor"
