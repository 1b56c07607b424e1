"""``backward`` and ``grad``: checks of their arguments, and the run they ask for.

How gradients flow is ``autograd_graph.backward``'s.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from treadle.autograd_graph.backward import Backward, target_of
from treadle.functions.creation import ones_like, zeros_like
from treadle.functions.joining import stack
from treadle.tensor import Tensor, new_tensor
from treadle.tracer.segment import recorder

Tensors = Tensor | Sequence[Tensor]

_CYCLE = (
    "Using backward() with create_graph=True will create a reference cycle between the parameter "
    "and its gradient which can cause a memory leak. We recommend using autograd.grad when "
    "creating the graph to avoid this. If you have to use this function, make sure to reset the "
    ".grad fields of your parameters to None after use to break the cycle and avoid the leak."
)


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
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Adds the gradients of tensors to the ``grad`` of the leaves they depend on.

    Args:
        tensors: where to start.
        grad_tensors: upstream gradients; may be left out for tensors of one element.
        retain_graph: keep what is needed to run again; by default ``create_graph``.
        create_graph: record the gradients themselves for autograd.
        grad_variables: the old name of ``grad_tensors``.
        inputs: leaves to accumulate into; all by default.

    Raises:
        RuntimeError: as PyTorch, for tensors without graph, shapes that do not fit, a graph that
            was freed, or values changed in place since.
    """
    if grad_variables is not None:
        warnings.warn(
            "`grad_variables` is deprecated. Use `grad_tensors` instead.",
            FutureWarning,
            stacklevel=2,
        )
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to "
                "`backward()`. Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    roots = _roots(_sequence(tensors), _sequence(grad_tensors))
    if create_graph:
        warnings.warn(_CYCLE, UserWarning, stacklevel=3)
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
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """Gradients of outputs with respect to inputs, leaving every ``grad`` alone.

    Args:
        outputs, grad_outputs, retain_graph, create_graph: as for ``backward``.
        inputs: tensors to differentiate by.
        only_inputs: nothing else is possible.
        is_grads_batched: ``grad_outputs`` have one more axis in front, as will the results.
        allow_unused: None instead of an error for inputs that the outputs do not depend on.
        materialize_grads: zeros instead of None for those.

    Raises:
        RuntimeError: as ``backward``, and for inputs that need no gradient or are unused.
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To "
            "accumulate gradient for other parts of the graph, please use "
            "torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    wanted = _sequence(inputs)
    if is_grads_batched:
        kept = create_graph if retain_graph is None else retain_graph
        options = (create_graph, True, allow_unused, False, materialize_grads)
        return _batched(_sequence(outputs), wanted, _sequence(grad_outputs), kept, options)
    roots = _roots(_sequence(outputs), _sequence(grad_outputs))
    for tensor in wanted:
        if not tensor.requires_grad:
            raise RuntimeError("One of the differentiated Tensors does not require grad")
    retain = create_graph if retain_graph is None else retain_graph
    run = Backward(create_graph, retain, wanted)
    run.run(roots)
    return tuple(
        _captured(run, tensor, number, bool(allow_unused), materialize_grads)
        for number, tensor in enumerate(wanted)
    )


def _captured(
    run: Backward, tensor: Tensor, number: int, allow_unused: bool, materialize: bool
) -> Tensor | None:
    """The gradient that reached an input."""
    found = run.captured.get(target_of(tensor))
    if found is None and materialize:
        return zeros_like(tensor.detach())
    if found is None and not allow_unused:
        raise RuntimeError(
            f"The differentiated Tensor at index {number} appears to not have been used in "
            "the graph. Set allow_unused=True if this is the desired behavior."
        )
    if found is None or isinstance(found, Tensor):
        return found
    return new_tensor(found, recorder.segment)


def _batched(
    outputs: tuple[Tensor, ...],
    inputs: tuple[Tensor, ...],
    batch: tuple[Any, ...],
    retain: bool,
    options: tuple[Any, ...],
) -> tuple[Tensor | None, ...]:
    """``grad`` for each of several upstream gradients, stacked."""
    count = next((len(rows) for rows in batch if rows is not None), 0)
    found = []
    for number in range(count):
        upstream = [None if rows is None else rows[number] for rows in batch]
        last = number == count - 1
        found.append(grad(outputs, inputs, upstream, retain or not last, *options))
    return tuple(
        None if columns[0] is None else stack(columns) for columns in zip(*found, strict=True)
    )
