"""``backward`` and ``grad``: checks of their arguments, and the run they ask for.

How gradients flow is ``autograd_graph.backward``'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from treadle.autograd_graph.backward import Backward, target_of
from treadle.functions.creation import ones_like, zeros_like
from treadle.tensor import Tensor, new_tensor
from treadle.tracer.segment import recorder

Tensors = Tensor | Sequence[Tensor]


def _sequence(tensors: Any) -> tuple[Any, ...]:
    if tensors is None:
        return ()
    return (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)


def _roots(tensors: Sequence[Tensor], gradients: Sequence[Any]) -> list[tuple[Tensor, Tensor]]:
    """(root, upstream gradient) pairs; RuntimeError in PyTorch's words where they do not fit."""
    roots = []
    given = list(gradients) or [None] * len(tensors)
    if len(given) != len(tensors):
        raise RuntimeError(f"got {len(tensors)} tensors and {len(given)} gradients")
    for number, (tensor, gradient) in enumerate(zip(tensors, given, strict=True)):
        if not tensor.requires_grad:
            raise RuntimeError(
                f"element {number} of tensors does not require grad and does not have a grad_fn"
            )
        if gradient is None:
            if tensor.shape.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if tensor.dtype.is_complex:
                raise RuntimeError(
                    "grad can be implicitly created only for real scalar outputs but got "
                    f"{tensor.dtype}"
                )
            gradient = ones_like(tensor.detach())
        elif not isinstance(gradient, Tensor):
            raise TypeError(
                f"gradients can be either Tensors or None, but got {type(gradient).__name__}"
            )
        elif gradient.shape != tensor.shape:
            raise RuntimeError(
                f"Mismatch in shape: grad_output[{number}] has a shape of {gradient.shape} and "
                f"output[{number}] has a shape of {tensor.shape}."
            )
        roots.append((tensor, gradient))
    return roots


def backward(
    tensors: Tensors,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Adds the gradients of tensors to the ``grad`` of the leaves they depend on.

    Args:
        tensors: where to start.
        grad_tensors: upstream gradients; may be left out for tensors of one element.
        retain_graph: keep what is needed to run again; by default ``create_graph``.
        create_graph: record the gradients themselves for autograd.
        inputs: leaves to accumulate into; all by default.

    Raises:
        RuntimeError: as PyTorch, for tensors without graph, shapes that do not fit, a graph that
            was freed, or values changed in place since.
    """
    roots = _roots(_sequence(tensors), _sequence(grad_tensors))
    retain = create_graph if retain_graph is None else retain_graph
    chosen = _sequence(inputs)
    if inputs is not None and not chosen:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    run = Backward(create_graph, retain, chosen or None)
    run.run(roots)
    for leaf in chosen:
        gradient = run.captured.get(target_of(leaf))
        if gradient is not None:
            run.accumulate_into(leaf, gradient)


def grad(
    outputs: Tensors,
    inputs: Tensors,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    allow_unused: bool | None = None,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of outputs with respect to inputs, leaving every ``grad`` alone.

    Args:
        outputs, grad_outputs, retain_graph, create_graph: as for ``backward``.
        inputs: tensors to differentiate by.
        allow_unused: None instead of an error for inputs that the outputs do not depend on.
        materialize_grads: zeros instead of None for those.

    Raises:
        RuntimeError: as ``backward``, and for inputs that need no gradient or are unused.
    """
    wanted = _sequence(inputs)
    for tensor in wanted:
        if not tensor.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    roots = _roots(_sequence(outputs), _sequence(grad_outputs))
    retain = create_graph if retain_graph is None else retain_graph
    run = Backward(create_graph, retain, wanted)
    run.run(roots)
    results: list[Tensor | None] = []
    for number, tensor in enumerate(wanted):
        found = run.captured.get(target_of(tensor))
        if found is None and materialize_grads:
            found = zeros_like(tensor.detach())
        elif found is None and not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {number} appears to not have been used in "
                "the graph. Set allow_unused=True if this is the desired behavior."
            )
        if found is not None and not isinstance(found, Tensor):
            found = new_tensor(found, recorder.segment)
        results.append(found)
    return tuple(results)
