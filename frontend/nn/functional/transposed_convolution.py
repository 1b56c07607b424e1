"""Transposed convolutions: the gradient of a convolution as a layer of its own.

Each is one convolution of the input spread apart by the stride with the mirrored kernel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from treadle.ir import build as b
from treadle.ir.gradients import vjp
from treadle.ir.value import Value
from treadle.nn.functional.arguments import shown
from treadle.nn.functional.convolution import check_dtypes
from treadle.nn.functional.windowing import Extents, as_tuple
from treadle.operation import operation
from treadle.tensor import Tensor

Ints = tuple[int, ...]
Values = tuple[Value, ...]


def _check(input: Value, weight: Value, bias: Value | None, groups: int) -> None:
    """PyTorch's errors for shapes; the input has its batch axis."""
    if weight.ndim != input.ndim:
        raise RuntimeError(
            f"Expected {input.ndim}-dimensional weight for {input.ndim}-dimensional input "
            f"{shown(input.shape)}, but got {weight.ndim}-dimensional weight of size "
            f"{shown(weight.shape)} instead"
        )
    if groups <= 0:
        raise RuntimeError("non-positive groups is not supported")
    if weight.shape[0] % groups or weight.shape[0] < groups:
        raise RuntimeError(
            f"Given groups={groups}, expected weight to be at least {groups} at dimension 0, but "
            f"got weight of size {shown(weight.shape)} instead"
        )
    if input.shape[1] != weight.shape[0]:
        raise RuntimeError(
            f"Given transposed=1, weight of size {shown(weight.shape)}, expected input"
            f"{shown(input.shape)} to have {weight.shape[0]} channels, but got "
            f"{input.shape[1]} channels instead"
        )
    if bias is not None and bias.shape != (weight.shape[1] * groups,):
        raise RuntimeError(
            f"Given transposed=1, weight of size {shown(weight.shape)}, expected bias to be "
            f"1-dimensional with {weight.shape[1] * groups} elements, but got bias of size "
            f"{shown(bias.shape)} instead"
        )


def _transposed_vjp(
    inputs: Values,
    outputs: Values,
    upstreams: Values,
    *,
    stride: Ints,
    padding: Ints,
    groups: int,
    dilation: Ints,
    **_: Any,
) -> Sequence[Value | None]:
    """A transposed convolution is the gradient of a convolution: its gradients are that one's own.

    They read no zeros between elements, as the derivative of the recorded form would.
    """
    (x, w, *rest), (g,) = inputs, upstreams
    batch, channels = x.shape[:2]
    kernel = w.shape[2:]
    spread = b.reshape(g, (batch, groups, g.shape[1] // groups, *g.shape[2:]))
    filters = b.reshape(w, (groups, channels // groups, w.shape[1], *kernel))
    ones = (1,) * len(kernel)
    sides = tuple((side, side) for side in padding)
    whole = b.conv(spread, filters, stride, sides, dilation, ones)
    # Output padding may leave room for more than there was.
    fitting = (batch, groups, channels // groups, *x.shape[2:])
    own = b.slice(whole, (0,) * whole.ndim, fitting)
    (to_filters,) = vjp([own], [filters], [b.reshape(x, fitting)])
    assert to_filters is not None
    axes = (0, *range(2, g.ndim))
    bias = (b.sum(g, axes),) if rest else ()
    return (b.reshape(own, x.shape), b.reshape(to_filters, w.shape), *bias)


@operation("ConvolutionBackward0", vjp=_transposed_vjp)
def _transposed(
    input: Value,
    weight: Value,
    bias: Value | None,
    stride: Ints,
    padding: Ints,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Value:
    """[N, C, *S] by [C, O / groups, *K] -> [N, O, *OS]."""
    check_dtypes(input, weight, bias)
    _check(input, weight, bias, groups)
    batch, channels, *extents = input.shape
    _, per_group, *kernel = weight.shape
    count = len(kernel)
    sides = []
    for size, gap, side, extra in zip(kernel, dilation, padding, output_padding, strict=True):
        reach = gap * (size - 1) - side
        sides.append((reach, reach + extra))
    for axis, (extent, step, gap, size) in enumerate(
        zip(extents, stride, dilation, kernel, strict=True)
    ):
        out = (extent - 1) * step + 1 + sum(sides[axis]) - gap * (size - 1)
        if out < 1:
            raise RuntimeError(
                f"Given input size per channel: {shown(extents)}. Calculated output size per "
                f"channel: {out} at dimension {axis}. Output size is too small"
            )
    grouped = b.reshape(input, (batch, groups, channels // groups, *extents))
    filters = b.reshape(weight, (groups, channels // groups, per_group, *kernel))
    axes = tuple(range(3, 3 + count))
    mirrored = b.permute(b.flip(filters, axes), (0, 2, 1, *axes))
    result = b.conv(grouped, mirrored, (1,) * count, sides, dilation, stride)
    result = b.reshape(result, (batch, groups * per_group, *result.shape[3:]))
    return result if bias is None else result + b.reshape(bias, (1, bias.shape[0], *(1,) * count))


def _by_axis(extra: Ints, steps: Ints, gaps: Ints) -> Iterator[str]:
    """Options axis by axis, as a message of PyTorch lists them; it sees a sequence as an image."""
    sides = ("depth", "height", "width")
    for name, numbers, rest in (
        ("output_padding", extra, 0), ("stride", steps, 1), ("dilation", gaps, 1)
    ):  # fmt: skip
        shown_numbers = (rest, *numbers) if len(numbers) == 1 else numbers
        for side, number in zip(sides[-len(shown_numbers) :], shown_numbers, strict=True):
            yield f"{name}_{side}: {number}"


def _convolve(
    count: int,
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Extents,
    padding: Extents,
    output_padding: Extents,
    groups: int,
    dilation: Extents,
) -> Tensor:
    """Fills in the arguments over ``count`` axes; adds a missing batch axis."""
    if input.ndim not in (count + 1, count + 2):
        raise RuntimeError(
            f"Expected {count + 1}D (unbatched) or {count + 2}D (batched) input to "
            f"conv_transpose{count}d, but got input of size: {shown(input.shape)}"
        )
    steps = as_tuple(stride, count, "stride")
    sides = as_tuple(padding, count, "padding")
    extra = as_tuple(output_padding, count, "output_padding")
    gaps = as_tuple(dilation, count, "dilation")
    for name, numbers, least in (
        ("stride", steps, 1), ("dilation", gaps, 1), ("padding", sides, 0),
        ("output_padding", extra, 0),
    ):  # fmt: skip
        if any(number < least for number in numbers):
            kind = "non-positive" if least else "negative"
            raise RuntimeError(f"{kind} {name} is not supported")
    for added, step, gap in zip(extra, steps, gaps, strict=True):
        if added >= step and added >= gap:
            raise RuntimeError(
                "output padding must be smaller than either stride or dilation, but got "
                + " ".join(_by_axis(extra, steps, gaps))
            )
    batched = input if input.ndim == count + 2 else input.unsqueeze(0)
    result: Tensor = _transposed(batched, weight, bias, steps, sides, extra, groups, gaps)
    return result if batched is input else result.squeeze(0)


def conv_transpose1d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Extents = 1,
    padding: Extents = 0,
    output_padding: Extents = 0,
    groups: int = 1,
    dilation: Extents = 1,
) -> Tensor:
    """[N, C, L] and [C, O / groups, K] -> [N, O, L']; the batch axis is optional."""
    return _convolve(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Extents = 1,
    padding: Extents = 0,
    output_padding: Extents = 0,
    groups: int = 1,
    dilation: Extents = 1,
) -> Tensor:
    """[N, C, H, W] and [C, O / groups, KH, KW] -> [N, O, H', W']; the batch axis is optional."""
    return _convolve(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Extents = 1,
    padding: Extents = 0,
    output_padding: Extents = 0,
    groups: int = 1,
    dilation: Extents = 1,
) -> Tensor:
    """[N, C, D, H, W] and [C, O / groups, KD, KH, KW] -> [N, O, D', H', W']."""
    return _convolve(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
