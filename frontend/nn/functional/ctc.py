"""Connectionist temporal classification: losses over all alignments of a label sequence.

A. Graves et al., Connectionist Temporal Classification, 2006. The recursions over time are
recorded step by step, in logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from treadle.functions import pointwise
from treadle.ir import build as b
from treadle.ir.types import int32, int64
from treadle.ir.value import Value
from treadle.nn.functional.arguments import check_floating
from treadle.nn.functional.reduction import check_reduction
from treadle.operation import operation
from treadle.tensor import Tensor, from_array

Values = tuple[Value, ...]
Lengths = Tensor | Sequence[int]


# -- recursions ------------------------------------------------------------------------------


def _log_sum(terms: Value) -> Value:
    """log of the sum of exponentials over the last axis, whose elements may be -inf."""
    axis = (terms.ndim - 1,)
    top = b.max(terms, axis)
    none = b.eq(top, -math.inf)
    shift = b.select(none, 0.0, top)
    total = b.sum(b.exp(terms - b.reshape(shift, (*shift.shape, 1))), axis)
    return b.select(none, -math.inf, b.log(b.select(none, 1.0, total)) + shift)


class _Alignment:
    """What both recursions read: labels with blanks between them, and their probabilities.

    A recursion's state [N, W] is a number for each label and, in the last column, the time: as it
    is data, every step is the same program of other data, and one kernel is compiled for all.
    """

    def __init__(
        self, log_probs: Value, targets: Value, inputs: Value, lengths: Value, blank: int
    ) -> None:
        self.steps, self.batch, _ = log_probs.shape
        longest = targets.shape[1]
        self.count = 2 * longest + 1
        self.shape = (self.batch, self.count + 1)
        self.device = log_probs.type.device
        blanks = b.full((self.batch, longest, 1), blank, int64, self.device)
        pairs = b.concat([blanks, b.reshape(targets, (self.batch, longest, 1))], 2)
        last = b.full((self.batch, 1), blank, int64, self.device)
        flat = b.reshape(pairs, (self.batch, 2 * longest))
        self.labels = b.concat([flat, last], 1)
        index = b.reshape(self.labels, (1, self.batch, self.count))
        index = b.broadcast_to(index, (self.steps, self.batch, self.count))
        self.found = b.pad(b.gather(log_probs, index, 2), (0, 0, 0), (0, 0, 1))
        self.place = b.iota(self.shape, 1, int64, self.device)
        self.is_time = b.eq(self.place, self.count)
        self.inputs = b.reshape(inputs, (self.batch, 1))
        self.end = b.reshape(lengths * 2, (self.batch, 1))
        # An alignment ends at the last label or at the blank behind it.
        self.final = b.logical_and(b.ge(self.place, self.end - 1), b.le(self.place, self.end))
        self.skips = self._skips(blank)

    def _skips(self, blank: int) -> Value:
        """The labels whose blank before them may be left out: that differ from the last one."""
        wide = b.pad(self.labels, (0, 2), (0, 1), value=blank)
        here = b.slice(wide, (0, 2), (self.batch, self.count + 3))
        before = b.slice(wide, (0, 0), (self.batch, self.count + 1))
        fits = b.logical_and(b.ge(self.place, 2), b.lt(self.place, self.count))
        return b.logical_and(fits, b.logical_and(b.ne(here, before), b.ne(here, blank)))

    def time(self, state: Value) -> Value:
        """The time [N, 1] of a state."""
        column = b.slice(state, (0, self.count), self.shape)
        return b.cast(column, int64)

    def probabilities(self, state: Value) -> Value:
        """Log-probabilities [N, W] of the labels at a state's time."""
        index = b.broadcast_to(b.reshape(self.time(state), (1, self.batch, 1)), (1, *self.shape))
        return b.reshape(b.gather(self.found, index, 0), self.shape)

    def start(self, numbers: Value, time: int) -> Value:
        """A state of numbers [N, W] at a time."""
        return b.select(self.is_time, float(time), numbers)

    def alphas(self) -> list[Value]:
        """For each time the log-probability of every beginning up to each label.

        They stay as they are behind an input's end. The state's time is that of the next step.
        """
        first = b.reshape(b.slice(self.found, (0, 0, 0), (1, *self.shape)), self.shape)
        begins = b.logical_and(b.lt(self.place, 2), b.le(self.place, self.end))
        state = self.start(b.select(begins, first, -math.inf), 1)
        found = [state]
        lagging = b.iota((1, 1, 3), 2, int64, self.device)
        allowed = b.logical_or(b.ne(lagging, 0), b.reshape(self.skips, (*self.shape, 1)))
        for _ in range(1, self.steps):
            near = b.windows(b.pad(state, (0, 2), (0, 0), value=-math.inf), (1,), (3,), (1,), (1,))
            through = _log_sum(b.select(allowed, near, -math.inf)) + self.probabilities(state)
            going = b.lt(self.time(state), self.inputs)
            state = b.select(self.is_time, state + 1.0, b.select(going, through, state))
            found.append(state)
        return found

    def beta(self, state: Value) -> Value:
        """The state before: the log-probability of every rest from each label on."""
        leading = b.iota((1, 1, 3), 2, int64, self.device)
        ahead = b.slice(b.pad(self.skips, (0, 0), (0, 2)), (0, 2), (self.batch, self.count + 3))
        allowed = b.logical_or(b.ne(leading, 2), b.reshape(ahead, (*self.shape, 1)))
        numbers = b.select(self.is_time, -math.inf, state)
        near = b.windows(b.pad(numbers, (0, 0), (0, 2), value=-math.inf), (1,), (3,), (1,), (1,))
        rest = _log_sum(b.select(allowed, near, -math.inf))
        last = b.eq(self.time(state), self.inputs - 1)
        ends = b.select(self.final, b.constant_like(rest, 0.0), -math.inf)
        through = b.select(last, ends, rest) + self.probabilities(state)
        return b.select(self.is_time, state - 1.0, through)

    def losses(self, alpha: Value) -> Value:
        """Minus the log-probability [N] of the labels, from the last alphas."""
        total = _log_sum(b.select(self.final, alpha, -math.inf))
        nothing = b.reshape(b.eq(self.end, 0), (self.batch,))
        unheard = b.reshape(b.eq(self.inputs, 0), (self.batch,))
        empty = b.select(nothing, b.constant_like(total, 0.0), -math.inf)
        return -b.select(unheard, empty, total)


def _ctc_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, blank: int
) -> Sequence[Value | None]:
    log_probs, targets, input_lengths, target_lengths = inputs
    steps, batch, classes = log_probs.shape
    alignment = _Alignment(log_probs, targets, input_lengths, target_lengths, blank)
    device = log_probs.type.device
    loss = b.reshape(outputs[0], (batch, 1))
    labels = b.pad(alignment.labels, (0, 0), (0, 1))
    spent = b.full((batch, steps * classes), 0.0, log_probs.dtype, device)
    nothing = b.full(alignment.shape, -math.inf, log_probs.dtype, device)
    before = alignment.start(nothing, steps - 1)
    for alpha in reversed(alignment.alphas()):
        beta = alignment.beta(before)
        # The probability that an alignment is at a label at this time, for the label's class.
        share = b.exp(alpha + beta - alignment.probabilities(before) + loss)
        share = b.select(alignment.is_time, 0.0, share)
        index = alignment.time(before) * classes + labels
        spent = b.scatter_add(spent, index, share, 1)
        before = beta
    used = b.permute(b.reshape(spent, (batch, steps, classes)), (1, 0, 2))
    # As PyTorch's: of inputs that are log-softmaxes, whose own gradient this already contains.
    gradient = b.exp(log_probs) - used
    time = b.iota((steps, batch, 1), 0, int64, device)
    heard = b.lt(time, b.reshape(input_lengths, (1, batch, 1)))
    upstream = b.reshape(upstreams[0], (1, batch, 1))
    return (b.select(heard, gradient * upstream, 0.0), None, None, None)


@operation("CtcLossBackward0", vjp=_ctc_vjp)
def _ctc_losses(
    log_probs: Value, targets: Value, input_lengths: Value, target_lengths: Value, blank: int
) -> Value:
    """Losses [N] of log-probabilities [T, N, C] and targets [N, S]."""
    check_floating("ctc_loss", log_probs)
    alignment = _Alignment(log_probs, targets, input_lengths, target_lengths, blank)
    return alignment.losses(alignment.alphas()[-1])


# -- arguments -------------------------------------------------------------------------------


@operation()
def _padded_targets(targets: Value, lengths: Value, longest: int) -> Value:
    """Targets that follow each other [sum] as rows [N, longest]."""
    count = lengths.shape[0]
    starts = b.cumsum(lengths, 0) - lengths
    place = b.iota((count, longest), 1, int64, targets.type.device)
    index = b.minimum(b.reshape(starts, (count, 1)) + place, targets.shape[0] - 1)
    rows = b.gather(targets, b.reshape(index, (count * longest,)), 0)
    return b.reshape(rows, (count, longest))


@operation()
def _whole_numbers(x: Value) -> Value:
    return b.cast(x, int64)


def _lengths(given: Lengths, name: str, batch: int, log_probs: Tensor) -> Tensor:
    """Lengths as int64 [N]; RuntimeError where there are others."""
    if isinstance(given, Tensor):
        if given.dtype.is_floating_point:
            raise RuntimeError(f"{name} must be integral")
        found: Tensor = _whole_numbers(given.reshape(-1))
    else:
        found = from_array(np.asarray(tuple(given), np.int64), log_probs.device)
    if found.shape[0] != batch:
        raise RuntimeError(f"{name} must be of size batch_size")
    return found


def _checked(
    log_probs: Tensor, targets: Tensor, inputs: Tensor, lengths: Tensor, blank: int
) -> None:
    steps, _, classes = log_probs.shape
    if not 0 <= blank < classes:
        raise RuntimeError("blank must be in label range")
    if targets.dtype not in (int32, int64):
        raise RuntimeError("targets must be integral")
    if inputs._storage.buffer is not None and (inputs._concrete() > steps).any():
        raise RuntimeError(
            f"Expected input_lengths to have value at most {steps}, but got value "
            f"{int(inputs._concrete().max())} (while checking arguments for ctc_loss_cpu)"
        )
    for name, tensor in (("input", inputs), ("target", lengths)):
        if tensor._storage.buffer is not None and (tensor._concrete() < 0).any():
            raise RuntimeError(
                f"Expected {name}_lengths to have value at least 0, but got value "
                f"{int(tensor._concrete().min())} (while checking arguments for ctc_loss_cpu)"
            )
    if targets.ndim == 2 and lengths._storage.buffer is not None and lengths.numel():
        longest = int(lengths._concrete().max())
        if longest > targets.shape[1]:
            raise RuntimeError(
                f"Expected tensor to have size at least {longest} at dimension 1, but got size "
                f"{targets.shape[1]} for argument #2 'targets' (while checking arguments for "
                "ctc_loss_cpu)"
            )


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Lengths,
    target_lengths: Lengths,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Minus the log-probability of label sequences, over all their alignments with the input.

    Args:
        log_probs: log-softmaxes [T, N, C], or [T, C].
        targets: labels [N, S], or those of all samples in a row.
        input_lengths, target_lengths: how much of each sample counts, [N].
        blank: the label that stands for none.
        reduction: ``mean`` divides each loss by its target's length before the mean.
        zero_infinity: inputs too short for their targets count for nothing, instead of infinity.
    """
    check_reduction(reduction)
    alone = log_probs.ndim == 2
    scores = log_probs.unsqueeze(1) if alone else log_probs
    if alone and targets.ndim == 1:
        targets = targets.unsqueeze(0)
    if scores.ndim != 3 or targets.ndim not in (1, 2):
        raise RuntimeError("log_probs must be 2D or 3D and targets 1D or 2D")
    batch = scores.shape[1]
    inputs = _lengths(input_lengths, "input_lengths", batch, scores)
    lengths = _lengths(target_lengths, "target_lengths", batch, scores)
    _checked(scores, targets, inputs, lengths, blank)
    labels: Any = _whole_numbers(targets)
    if targets.ndim == 1:
        longest = int(lengths.max().item()) if batch else 0
        if not longest:
            labels = targets.new_zeros((batch, 0), dtype=int64)
        else:
            labels = _padded_targets(labels, lengths, longest)
    losses: Tensor = _ctc_losses(scores, labels, inputs, lengths, blank)
    if zero_infinity:
        losses = pointwise.where(pointwise.eq(losses, math.inf), 0.0, losses)
    if reduction == "mean":
        result: Tensor = (losses / lengths.clamp(min=1)).mean()
        return result
    if reduction == "sum":
        return losses.sum()
    return losses.squeeze(0) if alone else losses
