"""Sums of products over named axes: ``einsum``, ``tensordot`` and chains of matrices.

Contractions are taken in pairs, the cheapest first; each pair is one ``dot``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from treadle.ir import build as b
from treadle.ir.types import bool_, contiguous_strides, int64
from treadle.ir.value import Value
from treadle.operation import operation
from treadle.promotion import cpp_name, scalar_name
from treadle.tensor import Tensor

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
# Axes that an ellipsis stands for are named by numbers, from the last one.
Label = str | int
Labels = tuple[Label, ...]


def einsum(*args: Any) -> Any:
    """Sum of products by an equation, or by lists of axes: ``einsum(a, [0, 1], b, [1, 2])``."""
    if len(args) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one "
            "operand and its subscripts list"
        )
    equation, operands = args[0], args[1:]
    if isinstance(equation, Tensor):
        equation, operands = _equation_of_lists(args)
    elif not isinstance(equation, str):
        kind = type(equation).__name__
        raise TypeError(f"einsum(): argument 'equation' (position 1) must be str, not {kind}")
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = tuple(operands[0])
    return _einsum(equation, tuple(operands))


def _equation_of_lists(args: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    def text(labels: Sequence[Any]) -> str:
        found = []
        for label in labels:
            if label is not Ellipsis and not 0 <= label < len(_LETTERS):
                raise ValueError(
                    "einsum(): subscript in subscript list is not within the valid range [0, 52)"
                )
            found.append("..." if label is Ellipsis else _LETTERS[label])
        return "".join(found)

    pairs = len(args) // 2
    equation = ",".join(text(args[2 * n + 1]) for n in range(pairs))
    if len(args) % 2:
        equation += "->" + text(args[-1])
    return equation, tuple(args[0 : 2 * pairs : 2])


# --- the equation ---------------------------------------------------------------------------------


def _parse(equation: str, operands: Sequence[Value]) -> tuple[list[Labels], Labels]:
    """The labels of every operand's axes and of the result's."""
    left, arrow, right = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(operands):
        few = "more" if len(operands) > len(terms) else "fewer"
        raise RuntimeError(f"einsum(): {few} operands were provided than specified in the equation")
    offset, labelled = 0, []
    for number, (term, operand) in enumerate(zip(terms, operands, strict=True)):
        labels = _labels(term, f"operand {number}", offset)
        labelled.append(_fitted(labels, number, operand))
        offset += len(term) + 1
    covered = max((sum(isinstance(x, int) for x in labels) for labels in labelled), default=0)
    dots: Labels = tuple(range(covered - 1, -1, -1))
    if arrow:
        return labelled, _output(right, len(left) + 2, labelled, dots)
    counts: dict[Label, int] = {}
    for label in itertools.chain.from_iterable(labelled):
        counts[label] = counts.get(label, 0) + 1
    once = sorted(label for label, n in counts.items() if isinstance(label, str) and n == 1)
    return labelled, (*dots, *once)


def _labels(term: str, where: str, offset: int) -> list[str]:
    """Letters of a term, with ``...`` as one of them."""
    found: list[str] = []
    at = 0
    while at < len(term):
        letter = term[at]
        if letter == ".":
            if "..." in found:
                what = (
                    "but an ellipsis (...) was already found"
                    if where == "output"
                    else "for which an ellipsis was already found"
                )
                raise RuntimeError(f"einsum(): found '.' for {where} {what}")
            if term[at : at + 3] != "...":
                raise RuntimeError(
                    f"einsum(): found '.' for {where} that is not part of any ellipsis"
                )
            found.append("...")
            at += 3
            continue
        if letter != " ":
            if letter not in _LETTERS:
                raise RuntimeError(
                    f"einsum(): invalid subscript given at index {offset + at} in the equation "
                    "string, subscripts must be in [a-zA-Z]"
                )
            found.append(letter)
        at += 1
    return found


def _fitted(labels: list[str], number: int, operand: Value) -> Labels:
    """A label for every axis of an operand."""
    named = len(labels) - ("..." in labels)
    if "..." not in labels and named != operand.ndim:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) does not match the "
            f"number of dimensions ({operand.ndim}) for operand {number} and no ellipsis was given"
        )
    if named > operand.ndim:
        raise RuntimeError(
            f"einsum(): the number of subscripts in the equation ({named}) is more than the number "
            f"of dimensions ({operand.ndim}) for operand {number}"
        )
    if "..." not in labels:
        return tuple(labels)
    at = labels.index("...")
    return (*labels[:at], *range(operand.ndim - named - 1, -1, -1), *labels[at + 1 :])


def _output(text: str, offset: int, labelled: Sequence[Labels], dots: Labels) -> Labels:
    known = set(itertools.chain.from_iterable(labelled))
    found: list[Label] = []
    for label in _labels(text, "output", offset):
        if label == "...":
            found.extend(dots)
        elif label in found:
            raise RuntimeError(
                f"einsum(): output subscript {label} appears more than once in the output"
            )
        elif label not in known:
            raise RuntimeError(
                f"einsum(): output subscript {label} does not appear in the equation for any input "
                "operand"
            )
        else:
            found.append(label)
    return tuple(found)


def _extents(labelled: Sequence[Labels], operands: Sequence[Value]) -> dict[Label, int]:
    """The extent of every label; axes of extent 1 broadcast."""
    found: dict[Label, int] = {}
    for number, (labels, operand) in enumerate(zip(labelled, operands, strict=True)):
        own: dict[Label, int] = {}
        for label, extent in zip(labels, operand.shape, strict=True):
            if own.setdefault(label, extent) != extent:
                raise RuntimeError(
                    f"einsum(): subscript {label} is repeated for operand {number} but the sizes "
                    f"don't match, {extent} != {own[label]}"
                )
            known = found.get(label, 1)
            if extent != 1 and known not in (1, extent):
                raise RuntimeError(_does_not_broadcast(label, labels, number, extent, known))
            found[label] = extent if known == 1 else known
    return found


def _does_not_broadcast(label: Label, labels: Labels, number: int, extent: int, known: int) -> str:
    if isinstance(label, str):
        return (
            f"einsum(): subscript {label} has size {extent} for operand {number} which does not "
            f"broadcast with previously seen size {known}"
        )
    dots = [name for name in labels if isinstance(name, int)]
    return (
        f"einsum(): dimension {dots.index(label)} covered by ellipsis in operand {number}has size "
        f"{extent} which does not broadcast with previously seen ellipsis with size {known} for "
        "the respective dimension"
    )


# --- the contraction ------------------------------------------------------------------------------


class _Term:
    """A value with a label for each axis, no two alike."""

    def __init__(self, labels: Labels, value: Value) -> None:
        unique = tuple(dict.fromkeys(labels))
        if len(unique) < len(labels):
            steps = contiguous_strides(value.shape)
            size = [value.shape[labels.index(label)] for label in unique]
            stride = [
                sum(step for name, step in zip(labels, steps, strict=True) if name == label)
                for label in unique
            ]
            value = b.as_strided(value, size, stride, 0)
        self.labels, self.value = unique, value

    def extent(self, label: Label) -> int:
        return self.value.shape[self.labels.index(label)] if label in self.labels else 1

    def arranged(self, labels: Sequence[Label]) -> Value:
        """The value with axes in an order, extents of 1 where it has no such axis.

        Axes that are not asked for have an extent of 1.
        """
        kept = [label for label in self.labels if label not in labels]
        kept += [label for label in labels if label in self.labels]
        moved = b.permute(self.value, [self.labels.index(label) for label in kept])
        return b.reshape(moved, [self.extent(label) for label in labels])

    def summed(self, keep: set[Label]) -> _Term:
        """The value summed over the axes that nothing else needs."""
        gone = [axis for axis, label in enumerate(self.labels) if label not in keep]
        kept = tuple(label for label in self.labels if label in keep)
        return _Term(kept, b.sum(self.value, gone)) if gone else self


@operation("EinsumBackward0")
def _einsum(equation: str, operands: tuple[Value, ...]) -> Value:
    labelled, output = _parse(equation, operands)
    extents = _extents(labelled, operands)
    terms = [_Term(*pair) for pair in zip(labelled, operands, strict=True)]
    if len(terms) > 1:
        _check_dtypes(operands)
    elif terms[0].value.dtype.kind in "bui" and set(terms[0].labels) - set(output):
        terms[0].value = b.cast(terms[0].value, int64)
    while len(terms) > 1:
        first, second = _cheapest(terms, output)
        others = [term for n, term in enumerate(terms) if n not in (first, second)]
        keep = set(output).union(*(term.labels for term in others))
        terms = [*others, _contract(terms[first], terms[second], keep)]
    found = terms[0].summed(set(output))
    return b.broadcast_to(found.arranged(output), [extents[label] for label in output])


def _check_dtypes(operands: Sequence[Value]) -> None:
    first = operands[0].dtype
    for operand in operands:
        if operand.dtype is not first:
            raise RuntimeError(
                f"expected scalar type {scalar_name(first)} but found {scalar_name(operand.dtype)}"
            )
    if first is bool_:
        raise NotImplementedError("\"bmm\" not implemented for 'Bool'")


def _cheapest(terms: Sequence[_Term], output: Labels) -> tuple[int, int]:
    """The pair whose product adds least memory, of those the one with least work."""

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        x, y = terms[pair[0]], terms[pair[1]]
        rest = [term.labels for n, term in enumerate(terms) if n not in pair]
        keep = set(output).union(*rest)
        both = dict.fromkeys((*x.labels, *y.labels))
        extents = {label: max(x.extent(label), y.extent(label)) for label in both}
        size = math.prod(extents[label] for label in both if label in keep)
        return size - x.value.type.numel - y.value.type.numel, math.prod(extents.values())

    return min(itertools.combinations(range(len(terms)), 2), key=cost)


def _contract(x: _Term, y: _Term, keep: set[Label]) -> _Term:
    """The product of two terms, summed over the axes that are not kept."""
    # An axis of extent 1 on one side only broadcasts: it belongs to the other side.
    x = x.summed(keep.union(label for label in y.labels if y.extent(label) != 1))
    y = y.summed(keep.union(label for label in x.labels if x.extent(label) != 1))
    shared = [label for label in x.labels if x.extent(label) != 1 and y.extent(label) != 1]
    batch = [label for label in shared if label in keep]
    inner = [label for label in shared if label not in keep]
    left = [n for n in x.labels if n not in shared and (x.extent(n) != 1 or n not in y.labels)]
    right = [label for label in y.labels if label not in shared and label not in left]
    result = (*batch, *left, *right)
    if not inner:
        product = b.mul(x.arranged(result), y.arranged(result))
        return _Term(result, product).summed(keep)
    sizes = [[max(x.extent(n), y.extent(n)) for n in part] for part in (batch, left, right, inner)]
    rows, columns, depth = (math.prod(part) for part in sizes[1:])
    dims = [math.prod(sizes[0])] if batch else []
    first = b.reshape(x.arranged((*batch, *left, *inner)), (*dims, rows, depth))
    second = b.reshape(y.arranged((*batch, *inner, *right)), (*dims, depth, columns))
    product = b.reshape(b.dot(first, second), (*sizes[0], *sizes[1], *sizes[2]))
    return _Term(result, product).summed(keep)


# --- tensordot ------------------------------------------------------------------------------------


def tensordot(a: Any, b: Any, dims: Any = 2, out: Any = None) -> Any:
    """Sum of products over ``dims`` axes (the last of a, the first of b) or over lists of them."""
    if isinstance(dims, Tensor):
        dims = dims.tolist() if dims.numel() > 1 else dims.item()
    if isinstance(dims, (tuple, list)):
        left, right = (tuple(part.tolist() if isinstance(part, Tensor) else part) for part in dims)
    else:
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.ndim, b.ndim):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        left, right = tuple(range(-dims, 0)), tuple(range(dims))
    return _tensordot(a, b, left, right, **({} if out is None else {"out": out}))


def _axes(dims: Sequence[int], rank: int) -> list[int]:
    axes: list[int] = []
    for dim in dims:
        if not -rank <= dim < rank:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but "
                f"got {dim})"
            )
        if dim % rank in axes:
            raise RuntimeError(f"dim {dim % rank} appears multiple times in the list of dims")
        axes.append(dim % rank)
    return axes


@operation("TensordotBackward0")
def _tensordot(
    first: Value, second: Value, dims_first: tuple[int, ...], dims_second: tuple[int, ...]
) -> Value:
    if len(dims_first) != len(dims_second):
        raise RuntimeError("both dimension lists should have same length")
    if first.dtype is not second.dtype:
        raise RuntimeError("both inputs should have same dtype")
    left, right = _axes(dims_first, first.ndim), _axes(dims_second, second.ndim)
    for n, (x, y) in enumerate(zip(left, right, strict=True)):
        if first.shape[x] != second.shape[y] and 1 not in (first.shape[x], second.shape[y]):
            raise RuntimeError(
                "contracted dimensions need to match, but first has size "
                f"{first.shape[x]} in dim {dims_first[n]} and second has size {second.shape[y]} in "
                f"dim {dims_second[n]}"
            )
    if first.dtype is bool_:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")
    names: list[Label] = [f"x{axis}" for axis in range(first.ndim)]
    others: list[Label] = [f"y{axis}" for axis in range(second.ndim)]
    for x, y in zip(left, right, strict=True):
        others[y] = names[x]
    output = [n for n in names if n not in others] + [n for n in others if n not in names]
    found = _contract(_Term(tuple(names), first), _Term(tuple(others), second), set(output))
    return found.arranged(output)


# --- chains of matrices ---------------------------------------------------------------------------


@operation("MultiDotBackward0")
def multi_dot(tensors: tuple[Value, ...]) -> Value:
    """Product of a chain of matrices, in the order that takes least work.

    The first and the last may be vectors.
    """
    count = len(tensors)
    if count < 2:
        raise RuntimeError(f"multi_dot(): expected at least 2 tensors but got {count}")
    _check_chain(tensors)
    first, last = tensors[0], tensors[-1]
    chain = list(tensors)
    if first.ndim == 1:
        chain[0] = b.reshape(first, (1, *first.shape))
    if last.ndim == 1:
        chain[-1] = b.reshape(last, (*last.shape, 1))
    for number, (x, y) in enumerate(itertools.pairwise(chain)):
        if x.shape[1] != y.shape[0]:
            shapes = f"{list(tensors[number].shape)} and {list(tensors[number + 1].shape)}"
            raise RuntimeError(
                f"multi_dot(): tensors {number} and {number + 1} with shapes {shapes} cannot be "
                "multiplied"
            )
    found = _multiply(chain)
    return b.reshape(found, found.shape[first.ndim == 1 : 1 if last.ndim == 1 else 2])


def _check_chain(tensors: Sequence[Value]) -> None:
    for number, value in enumerate(tensors):
        if number in (0, len(tensors) - 1):
            if value.ndim not in (1, 2):
                which = "first" if number == 0 else "last"
                raise RuntimeError(
                    f"multi_dot(): the {which} tensor must be 1D or 2D but got {value.ndim}D"
                )
        elif value.ndim != 2:
            raise RuntimeError(f"multi_dot(): tensor {number} must be 2D but got {value.ndim}D")
        if value.dtype is not tensors[0].dtype:
            raise RuntimeError(
                "multi_dot(): all tensors must have be the same dtype but tensor 0 is "
                f"{cpp_name(tensors[0].dtype)} and tensor {number} {cpp_name(value.dtype)}"
            )
    if tensors[0].dtype is bool_:
        raise NotImplementedError("\"addmm_impl_cpu_\" not implemented for 'Bool'")


def _multiply(chain: Sequence[Value]) -> Value:
    """Dynamic programming over the splits (Cormen et al., Introduction to Algorithms, 15.2)."""
    count = len(chain)
    sizes = [chain[0].shape[0], *(matrix.shape[1] for matrix in chain)]
    work = {(n, n): 0 for n in range(count)}
    split: dict[tuple[int, int], int] = {}
    for length in range(1, count):
        for start in range(count - length):
            stop = start + length
            costs = {
                at: work[start, at]
                + work[at + 1, stop]
                + sizes[start] * sizes[at + 1] * sizes[stop + 1]
                for at in range(start, stop)
            }
            split[start, stop] = min(costs, key=costs.__getitem__)
            work[start, stop] = costs[split[start, stop]]

    def product(start: int, stop: int) -> Value:
        if start == stop:
            return chain[start]
        at = split[start, stop]
        return b.dot(product(start, at), product(at + 1, stop))

    return product(0, count - 1)


def chain_matmul(*matrices: Any, out: Any = None) -> Any:
    """Product of a chain of matrices, in the order that takes least work."""
    if len(matrices) == 1:
        return matrices[0]
    for number, matrix in enumerate(matrices):
        if matrix.ndim != 2:
            raise RuntimeError(
                f"Tensor dimension is {matrix.ndim}, expected 2 instead, at position {number}"
            )
    return multi_dot(tuple(matrices), **({} if out is None else {"out": out}))
