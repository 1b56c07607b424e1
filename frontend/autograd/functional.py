"""``torch.autograd.functional``: Jacobians, Hessians and their products with vectors.

Everything is made of ``grad``; a product with a vector from the right differentiates the product
from the left by its vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from treadle.autograd.differentiate import grad
from treadle.autograd.grad_mode import enable_grad
from treadle.functions.creation import ones_like, zeros, zeros_like
from treadle.functions.joining import stack
from treadle.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = tuple[Tensor, ...]
Many = Tensor | Sequence[Tensor]


# -- arguments and results -----------------------------------------------------------------------


def _tensors(given: Any, what: str, function: str) -> tuple[bool, Tensors]:
    """Whether several tensors were given, and all of them."""
    several = isinstance(given, (tuple, list))
    items = tuple(given) if several else (given,)
    for number, item in enumerate(items):
        if not isinstance(item, Tensor):
            place = f"Value at index {number} of the" if several else "The"
            raise TypeError(
                f"{place} {what} given to {function} must be "
                f"{'a Tensor' if several else 'either a Tensor or a tuple of Tensors'} but the "
                f"value{f' at index {number}' if several else ''} has type {type(item)}."
            )
    return several, items


def _prepared(inputs: Tensors, create_graph: bool) -> Tensors:
    """The inputs as points to differentiate at."""
    if create_graph:
        return tuple(
            x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in inputs
        )
    return tuple(x.detach().requires_grad_() for x in inputs)


def _run(
    func: Callable[..., Any], inputs: Any, function: str, create_graph: bool
) -> tuple[bool, Tensors, bool, Tensors]:
    """(several inputs, the inputs, several results, the results)."""
    several, given = _tensors(inputs, "inputs", function)
    points = _prepared(given, create_graph)
    many, outputs = _tensors(func(*points), "outputs of the user-provided function", function)
    return several, points, many, outputs


def _vectors(v: Any, like: Tensors, function: str, what: str) -> Tensors:
    """The vectors of a product; ones where none are needed."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(
                f"The vector v can only be None if {what} a single Tensor with a single element."
            )
        return tuple(ones_like(x.detach()) for x in like)
    vectors = _tensors(v, "v", function)[1]
    if len(vectors) != len(like):
        raise RuntimeError(
            f"v is a tuple of invalid length: should be {len(like)} but got {len(vectors)}."
        )
    for number, (vector, x) in enumerate(zip(vectors, like, strict=True)):
        if vector.shape != x.shape:
            place = f"Entry {number} in " if len(like) > 1 else ""
            raise RuntimeError(
                f"{place}v has invalid size: should be {x.shape} but got {vector.shape}."
            )
    return vectors


def _shaped(results: Sequence[Any], several: bool, create_graph: bool) -> Any:
    kept = tuple(results) if create_graph else tuple(result.detach() for result in results)
    return kept if several else kept[0]


def _gradients(
    outputs: Tensors, inputs: Tensors, vectors: Any, create_graph: bool, strict: bool
) -> Tensors:
    """Gradients, zeros where nothing depends on an input (an error where ``strict``)."""
    pairs = zip(outputs, vectors or [None] * len(outputs), strict=True)
    reached = [(y, v) for y, v in pairs if y.requires_grad]
    found: Sequence[Tensor | None] = [None] * len(inputs)
    if reached:
        roots, upstream = zip(*reached, strict=True)
        found = grad(roots, inputs, upstream, True, create_graph, allow_unused=True)
    for number, one in enumerate(found):
        if one is None and strict:
            raise RuntimeError(
                f"The output of the user-provided function is independent of input {number}. This "
                "is not allowed in strict mode."
            )
    return tuple(
        zeros_like(x.detach()) if g is None else g for x, g in zip(inputs, found, strict=True)
    )


# -- products with vectors -----------------------------------------------------------------------


def vjp(
    func: Callable[..., Any], inputs: Many, v: Any = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """The results of a function, and a vector times its Jacobian."""
    with enable_grad():
        several, points, many, outputs = _run(func, inputs, "vjp", create_graph)
        vectors = _vectors(v, outputs, "vjp", "the user-provided function returns")
        found = _gradients(outputs, points, vectors, create_graph, strict)
    return _shaped(outputs, many, create_graph), _shaped(found, several, create_graph)


def jvp(
    func: Callable[..., Any], inputs: Many, v: Any = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """The results of a function, and its Jacobian times a vector."""
    with enable_grad():
        _several, points, many, outputs = _run(func, inputs, "jvp", create_graph)
        vectors = _vectors(v, points, "jvp", "the input to the user-provided function is")
        anchors = tuple(zeros_like(y.detach()).requires_grad_() for y in outputs)
        left = _gradients(outputs, points, anchors, True, strict)
        found = _gradients(left, anchors, vectors, create_graph, False)
    return _shaped(outputs, many, create_graph), _shaped(found, many, create_graph)


def _scalar(outputs: Tensors, many: bool, function: str) -> None:
    if many or outputs[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {function} should contain a single "
            "element"
        )


def vhp(
    func: Callable[..., Any], inputs: Many, v: Any = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """The result of a function of one number, and a vector times its Hessian."""
    with enable_grad():
        several, points, many, outputs = _run(func, inputs, "vhp", create_graph)
        _scalar(outputs, many, "vhp")
        vectors = _vectors(v, points, "vhp", "the input to the user-provided function is")
        slope = _gradients(outputs, points, None, True, strict)
        found = _gradients(slope, points, vectors, create_graph, strict)
    return _shaped(outputs, many, create_graph), _shaped(found, several, create_graph)


def hvp(
    func: Callable[..., Any], inputs: Many, v: Any = None, create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """The result of a function of one number, and its Hessian, which is symmetric, times a
    vector."""
    return vhp(func, inputs, v, create_graph, strict)


# -- whole matrices ------------------------------------------------------------------------------


def jacobian(
    func: Callable[..., Any], inputs: Many, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """Derivatives of every element of the results by every element of the inputs.

    Each has the shape of the result followed by that of the input; tuples of them for several
    inputs, tuples of those for several results. ``vectorize`` and ``strategy`` change nothing.
    """
    with enable_grad():
        several, points, many, outputs = _run(func, inputs, "jacobian", create_graph)
        rows = []
        for output in outputs:
            found = [
                _gradients((element,), points, None, create_graph, strict)
                for element in output.reshape(-1)
            ]
            row = []
            for number, x in enumerate(points):
                shape = (*output.shape, *x.shape)
                columns = [gradients[number] for gradients in found]
                row.append(
                    stack(columns).reshape(shape) if columns else zeros(shape, dtype=x.dtype)
                )
            rows.append(_shaped(row, several, create_graph))
    return tuple(rows) if many else rows[0]


def hessian(
    func: Callable[..., Any], inputs: Many, create_graph: bool = False, strict: bool = False,
    vectorize: bool = False, outer_jacobian_strategy: str = "reverse-mode",
) -> Any:  # fmt: skip
    """Second derivatives of a function of one number: the Jacobian of its Jacobian."""
    several, given = _tensors(inputs, "inputs", "hessian")

    def slope(*points: Tensor) -> Any:
        many, outputs = _tensors(func(*points), "outputs of the user-provided function", "hessian")
        _scalar(outputs, many, "hessian")
        return _gradients((outputs[0].reshape(()),), points, None, True, strict)

    found = jacobian(slope, given, create_graph, strict)
    return found if several else found[0][0]
