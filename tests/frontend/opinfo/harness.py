"""Runs an operator of PyTorch's database on both libraries: forward, gradients, errors."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import treadle
from tests.frontend.opinfo import scope
from tests.frontend.opinfo.comparison import array_of, difference, numbers_differ
from tests.frontend.opinfo.translation import MissingFunctionError, to_treadle, translate

# Samples with more elements are for the sweep over all of them.
LARGE = 100_000
DTYPES = ("float32", "int64", "bool")


@dataclass
class Count:
    """How many samples agreed, and in what the others did not."""

    agreed: int = 0
    total: int = 0
    failures: list[str] = field(default_factory=list)

    def add(self, failure: str) -> None:
        """Counts a sample; ``failure`` says in what it differs, or is empty."""
        self.total += 1
        if failure:
            self.failures.append(failure)
        else:
            self.agreed += 1


@dataclass
class Outcome:
    """What came out for one operator and dtype."""

    forward: Count = field(default_factory=Count)
    gradient: Count = field(default_factory=Count)
    variants: Count = field(default_factory=Count)


def available() -> bool:
    """Whether PyTorch and its operator database are installed."""
    return all(importlib.util.find_spec(name) for name in ("torch", "expecttest"))


def operators() -> list[Any]:
    """The operators of the database that are in scope."""
    import torch
    from torch.testing._internal.common_methods_invocations import op_db

    torch.set_num_threads(1)
    return [op for op in op_db if not scope.reason_out(op)]


def label(op: Any) -> str:
    """An operator's name with its variant."""
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else str(op.name)


def samples(op: Any, dtype: str, limit: int | None) -> Iterator[Any]:
    """Sample inputs, the same ones each time; with ``limit`` so many, spread over all but the
    largest."""
    import torch

    torch.manual_seed(0)
    np.random.seed(0)
    kind = getattr(torch, dtype)
    wants_grad = (kind.is_floating_point or kind.is_complex) and op.supports_autograd
    found = op.sample_inputs("cpu", kind, requires_grad=wants_grad)
    if limit is None:
        yield from found
        return
    every = [sample for sample in found if _elements(sample) <= LARGE]
    step = max(len(every) / limit, 1.0)
    yield from (every[int(n * step)] for n in range(min(limit, len(every))))


def _elements(sample: Any) -> int:
    """Elements of the largest tensor among a sample's arguments."""
    import torch

    tensors = [sample.input, *sample.args, *sample.kwargs.values()]
    return max((item.numel() for item in tensors if isinstance(item, torch.Tensor)), default=0)


def compare(op: Any, dtype: str, limit: int | None = None) -> Outcome:
    """Both libraries on the samples of an operator."""
    import torch

    outcome = Outcome()
    if getattr(torch, dtype) not in op.supported_dtypes("cpu"):
        return outcome
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, sample in enumerate(samples(op, dtype, limit)):
            _compare_sample(op, sample, outcome)
            if number < 2:
                _compare_variants(op, sample, outcome)
    return outcome


def _compare_sample(op: Any, sample: Any, outcome: Outcome) -> None:
    leaves: list[Any] = []
    try:
        ours = to_treadle((sample.input, list(sample.args), dict(sample.kwargs)), leaves)
    except MissingFunctionError as missing:
        outcome.forward.add(f"needs {missing}")
        return
    try:
        expected = op.op(sample.input, *sample.args, **sample.kwargs)
    except Exception:
        return  # the sample is none for this build of PyTorch
    inputs, args, kwargs = ours
    shown = f"{_shown(sample)}: "
    try:
        found = translate(op.op, op.name)(inputs, *args, **kwargs)
        failure = _difference(op, sample, found, expected)
    except Exception as error:
        failure = _described(error)
    outcome.forward.add(shown + failure if failure else "")
    if not leaves or failure or scope.is_random(op, sample):
        if leaves and failure and _differentiable(expected):
            outcome.gradient.add(shown + "no forward")
        return
    process = sample.output_process_fn_grad
    results = _differentiable(process(expected))
    if results:
        outcome.gradient.add(_gradient_failure(op, sample, found, results, leaves))


def _difference(op: Any, sample: Any, found: Any, expected: Any) -> str:
    ties = op.name in scope.TIES and sample.input.unique().numel() < sample.input.numel()
    random = scope.is_random(op, sample) or (ties and op.name == "argsort")
    failure = difference(found, expected, values=not random, positions=not ties)
    if failure and op.name in scope.FREE_PHASE:
        process = sample.output_process_fn_grad
        return difference(translate(process)(found), process(expected))
    return failure


def _gradient_failure(
    op: Any, sample: Any, found: Any, results: list[Any], leaves: list[Any]
) -> str:
    """In what the gradients of both libraries differ, for one random upstream gradient."""
    import torch

    shown, process = f"{_shown(sample)}: ", sample.output_process_fn_grad

    generator = np.random.default_rng(0)
    weights = [_weights(generator, array_of(result)) for result in results]
    upstreams = [
        torch.from_numpy(weight).to(result.dtype)
        for weight, result in zip(weights, results, strict=True)
    ]
    for theirs, _ours in leaves:
        theirs.grad = None  # samples may share a tensor
    torch.autograd.backward(results, upstreams)
    try:
        mine = _differentiable(translate(process)(found))
        if len(mine) != len(results):
            return f"{shown}{len(mine)} differentiable results, expected {len(results)}"
        treadle.autograd.backward(
            mine, [treadle.tensor(w).to(r.dtype) for w, r in zip(weights, mine, strict=True)]
        )
        pairs = [(ours.grad, theirs.grad) for theirs, ours in leaves]
        answer = _first_difference(pairs)
        if answer and "elements" in answer:
            # Where two single precision gradients differ, double precision says whose is right.
            truth = _double_gradients(op, sample, weights)
            pairs = [
                (ours, truth.get(id(theirs)))
                for (theirs, _), (ours, _) in zip(leaves, pairs, strict=True)
            ]
            answer = _first_difference(pairs) and answer
        return shown + answer if answer else ""
    except Exception as error:
        return shown + "gradient: " + _described(error)


def _first_difference(pairs: list[tuple[Any, Any]]) -> str:
    """In what the first pair of gradients differs that does."""
    for ours, theirs in pairs:
        if (theirs is None) != (ours is None):
            return f"gradient {ours}, expected {theirs}"
        if theirs is None:
            continue
        if tuple(ours.shape) != tuple(theirs.shape):
            return f"gradient of shape {ours.shape}"
        answer = numbers_differ(array_of(ours), array_of(theirs.to_dense()))
        if answer:
            return f"gradient: {answer}"
    return ""


def _double_gradients(op: Any, sample: Any, weights: list[Any]) -> dict[int, Any]:
    """PyTorch's gradients of a sample in double precision, by the identity of the leaves."""
    import torch

    doubles: dict[int, Any] = {}

    def widen(item: Any) -> Any:
        if not isinstance(item, torch.Tensor) or item.dtype not in (torch.float32, torch.complex64):
            return item
        wide = torch.float64 if item.dtype is torch.float32 else torch.complex128
        if id(item) not in doubles:
            made = item.detach().to(wide)
            doubles[id(item)] = made.requires_grad_(item.requires_grad)
        return doubles[id(item)]

    wider = sample.transform(widen)
    process = sample.output_process_fn_grad
    results = _differentiable(process(op.op(wider.input, *wider.args, **wider.kwargs)))
    upstreams = [
        torch.from_numpy(weight).to(result.dtype)
        for weight, result in zip(weights, results, strict=True)
    ]
    torch.autograd.backward(results, upstreams)
    return {key: tensor.grad for key, tensor in doubles.items()}


def _weights(generator: Any, like: Any) -> Any:
    drawn = generator.uniform(0.5, 1.5, like.shape)
    if like.dtype.kind == "c":
        drawn = drawn + 1j * generator.uniform(0.5, 1.5, like.shape)
    return np.asarray(drawn, like.dtype)


def _differentiable(results: Any) -> list[Any]:
    if isinstance(results, (list, tuple)):
        return [tensor for item in results for tensor in _differentiable(item)]
    wanted = hasattr(results, "requires_grad") and results.requires_grad
    return [results] if wanted else []


def _compare_variants(op: Any, sample: Any, outcome: Outcome) -> None:
    """The method and the in-place method, where PyTorch has them."""
    if op.name in scope.RANDOM or "." in op.name:
        return
    for variant in (op.method_variant, op.inplace_variant):
        if variant is None or isinstance(variant, type(lambda: 0)):
            continue
        try:
            target = sample.input.detach().clone()
            expected = variant(target, *sample.args, **sample.kwargs)
        except Exception:
            continue
        name = getattr(variant, "__name__", op.name)
        try:
            inputs, args, kwargs = to_treadle(
                (sample.input.detach().clone(), list(sample.args), dict(sample.kwargs)), []
            )
            found = getattr(inputs, name)(*args, **kwargs)
            failure = _difference(op, sample, found, expected)
            if not failure and name.endswith("_") and not name.startswith("_"):
                failure = difference(inputs, target)
        except Exception as error:
            failure = _described(error)
        outcome.variants.add(f"Tensor.{name}: {failure}" if failure else "")


def compare_errors(op: Any) -> Count:
    """Whether the database's error inputs raise what PyTorch raises."""
    count = Count()
    if op.error_inputs_func is None:
        return count
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for case in op.error_inputs("cpu"):
            sample = case.sample_input
            expected = _raised(lambda s=sample: op.op(s.input, *s.args, **s.kwargs))
            if expected is None:
                continue
            try:
                inputs, args, kwargs = to_treadle(
                    (sample.input, list(sample.args), dict(sample.kwargs)), []
                )
            except MissingFunctionError:
                continue
            found = _raised(lambda i=inputs, a=args, k=kwargs: _run(op, i, a, k))
            same = found is not None and type(found).__name__.lstrip("_") == type(
                expected
            ).__name__.lstrip("_")
            told = "no error" if found is None else _described(found)
            count.add("" if same else f"{_shown(sample)}: {told}, expected {_described(expected)}")
    return count


def _run(op: Any, inputs: Any, args: Any, kwargs: Any) -> None:
    result = translate(op.op, op.name)(inputs, *args, **kwargs)
    for item in result if isinstance(result, (list, tuple)) else [result]:
        if isinstance(item, treadle.Tensor):
            item.detach()._concrete()


def _raised(run: Callable[[], Any]) -> Exception | None:
    try:
        run()
    except Exception as error:
        return error
    return None


def _described(error: Exception) -> str:
    text = str(error).split("\n")[0]
    return f"{type(error).__name__}: {text[:160]}"


def _shown(sample: Any) -> str:
    import torch

    def one(item: Any) -> str:
        if isinstance(item, torch.Tensor):
            return f"{str(item.dtype)[6:]}{list(item.shape)}"
        if isinstance(item, (list, tuple)):
            return "(" + ", ".join(map(one, item)) + ")"
        return repr(item)

    parts = [one(item) for item in (sample.input, *sample.args)]
    parts += [f"{name}={one(item)}" for name, item in sample.kwargs.items()]
    return f"({', '.join(parts)})"
