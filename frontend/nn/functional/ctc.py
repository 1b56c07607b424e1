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


def _log_sum(terms: Sequence[Value]) -> Value:
    """log of the sum of exponentials of values that may be -inf."""
    top = terms[0]
    for term in terms[1:]:
        top = b.maximum(top, term)
    none = b.eq(top, -math.inf)
    shift = b.select(none, 0.0, top)
    total = b.exp(terms[0] - shift)
    for term in terms[1:]:
        total = total + b.exp(term - shift)
    return b.log(total) + shift


def _shifted(x: Value, by: int) -> Value:
    """[N, L] moved along the last axis (left where negative), with -inf in the gap."""
    return b.pad(x, (0, by), (0, -by), value=-math.inf)


class _Alignment:
    """What both recursions read: labels with blanks between them, and their probabilities."""

    def __init__(
        self, log_probs: Value, targets: Value, inputs: Value, lengths: Value, blank: int
    ) -> None:
        self.steps, self.batch, _ = log_probs.shape
        longest = targets.shape[1]
        self.width = 2 * longest + 1
        device = log_probs.type.device
        blanks = b.full((self.batch, longest), blank, int64, device)
        columns = (self.batch, longest, 1)
        pairs = b.concat([b.reshape(blanks, columns), b.reshape(targets, columns)], 2)
        flat = b.reshape(pairs, (self.batch, 2 * longest))
        last = b.full((self.batch, 1), blank, int64, device)
        self.labels = b.concat([flat, last], 1)
        shape = (self.steps, self.batch, self.width)
        index = b.reshape(self.labels, (1, self.batch, self.width))
        self.found = b.gather(log_probs, b.broadcast_to(index, shape), 2)
        self.place = b.iota((self.batch, self.width), 1, int64, device)
        before = b.pad(self.labels, (0, 2), (0, -2), value=-1) if self.width > 2 else self.labels
        # A blank may be left out between different labels.
        skips = b.logical_and(b.ne(self.labels, before), b.ne(self.labels, blank))
        self.skips = b.logical_and(skips, b.ge(self.place, 2))
        self.inputs = b.reshape(inputs, (self.batch, 1))
        self.end = b.reshape(lengths * 2, (self.batch, 1))

    def at(self, step: int) -> Value:
        """Log-probabilities [N, L] of the labels at a time."""
        part = b.slice(self.found, (step, 0, 0), (step + 1, self.batch, self.width))
        return b.reshape(part, (self.batch, self.width))

    def final(self) -> Value:
        """Where an alignment may end: at the last label or the blank behind it."""
        near = b.ge(self.place, self.end - 1)
        return b.logical_and(near, b.le(self.place, self.end))

    def alphas(self) -> list[Value]:
        """For each time the log-probability of every beginning up to each label."""
        begins = b.logical_and(b.lt(self.place, 2), b.le(self.place, self.end))
        alpha = b.select(begins, self.at(0), -math.inf)
        found = [alpha]
        for step in range(1, self.steps):
            terms = [alpha, _shifted(alpha, 1)]
            if self.width > 2:
                terms.append(b.select(self.skips, _shifted(alpha, 2), -math.inf))
            alpha = _log_sum(terms) + self.at(step)
            found.append(alpha)
        return found

    def betas(self) -> list[Value]:
        """For each time the log-probability of every rest from each label on."""
        here = b.select(self.final(), 0.0, -math.inf + self.at(0) * 0.0)
        beta = b.full((self.batch, self.width), -math.inf, here.dtype, here.type.device)
        found = []
        for step in reversed(range(self.steps)):
            terms = [beta, _shifted(beta, -1)]
            if self.width > 2:
                terms.append(_shifted(b.select(self.skips, beta, -math.inf), -2))
            going = _log_sum(terms)
            last = b.eq(self.inputs, step + 1)
            ends = b.select(self.final(), 0.0, b.constant_like(going, -math.inf))
            beta = b.select(last, ends, going) + self.at(step)
            found.append(beta)
        return found[::-1]

    def losses(self, alphas: Sequence[Value]) -> Value:
        """Minus the log-probability [N] of the labels, from the alphas at each input's end."""
        last = alphas[0]
        for step, alpha in enumerate(alphas[1:], 1):
            last = b.select(b.gt(self.inputs, step), alpha, last)
        ending = b.select(self.final(), last, -math.inf)
        top = b.max(ending, (1,), keepdim=True)
        shift = b.select(b.eq(top, -math.inf), 0.0, top)
        total = b.log(b.sum(b.exp(ending - shift), (1,))) + b.reshape(shift, (self.batch,))
        return -b.select(b.eq(b.reshape(self.inputs, (self.batch,)), 0), self._empty(total), total)

    def _empty(self, like: Value) -> Value:
        """The log-probability of labels where there is no input: 0 for none, else -inf."""
        none = b.eq(b.reshape(self.end, (self.batch,)), 0)
        return b.select(none, 0.0, b.constant_like(like, -math.inf))


def _ctc_vjp(
    inputs: Values, outputs: Values, upstreams: Values, *, blank: int
) -> Sequence[Value | None]:
    log_probs, targets, input_lengths, target_lengths = inputs
    alignment = _Alignment(log_probs, targets, input_lengths, target_lengths, blank)
    shape = (alignment.steps, alignment.batch, alignment.width)
    flat = (alignment.steps * alignment.batch, alignment.width)

    def stacked(values: Sequence[Value]) -> Value:
        return b.reshape(b.concat(values, 0), shape)

    loss = b.reshape(outputs[0], (1, alignment.batch, 1))
    through = stacked(alignment.alphas()) + stacked(alignment.betas())
    # Probability that an alignment is at a label at a time.
    share = b.exp(through - alignment.found + loss)
    classes = log_probs.shape[2]
    index = b.broadcast_to(b.reshape(alignment.labels, (1, *alignment.labels.shape)), shape)
    zeros = b.full((flat[0], classes), 0.0, log_probs.dtype, log_probs.type.device)
    spent = b.scatter_add(zeros, b.reshape(index, flat), b.reshape(share, flat), 1)
    # As PyTorch's: of inputs that are log-softmaxes, whose own gradient this already contains.
    gradient = b.exp(log_probs) - b.reshape(spent, log_probs.shape)
    time = b.iota((alignment.steps, alignment.batch, 1), 0, int64, log_probs.type.device)
    heard = b.lt(time, b.reshape(input_lengths, (1, alignment.batch, 1)))
    upstream = b.reshape(upstreams[0], (1, alignment.batch, 1))
    return (b.select(heard, gradient * upstream, 0.0), None, None, None)


@operation("CtcLossBackward0", vjp=_ctc_vjp)
def _ctc_losses(
    log_probs: Value, targets: Value, input_lengths: Value, target_lengths: Value, blank: int
) -> Value:
    """Losses [N] of log-probabilities [T, N, C] and targets [N, S]."""
    check_floating("ctc_loss", log_probs)
    alignment = _Alignment(log_probs, targets, input_lengths, target_lengths, blank)
    return alignment.losses(alignment.alphas())


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
        losses = pointwise.where(losses == math.inf, 0.0, losses)
    if reduction == "mean":
        result: Tensor = (losses / lengths.clamp(min=1)).mean()
        return result
    if reduction == "sum":
        return losses.sum()
    return losses.squeeze(0) if alone else losses
