"""``autograd.Function``: what forward and backward see, and errors, as in PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

import treadle
from tests.frontend.agreement import check

pytestmark = pytest.mark.oracle


def exponential(torch: Any) -> Any:
    class Exp(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            result = x.exp()
            ctx.save_for_backward(result)
            return result

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (result,) = ctx.saved_tensors
            return grad * result

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = Exp.apply(x)
    y.sum().backward()
    return [y, x.grad, y.grad_fn.name(), y.is_leaf]


def needs_input_grad(torch: Any) -> Any:
    seen = []

    class Product(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any, factor: Any, label: str) -> Any:
            ctx.save_for_backward(x, y)
            ctx.factor = factor
            ctx.label = label
            return x * y * factor

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            x, y = ctx.saved_tensors
            seen.append((ctx.needs_input_grad, ctx.label))
            return grad * y * ctx.factor, grad * x * ctx.factor, None, None

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = torch.tensor([3.0, 4.0])
    Product.apply(x, y, 2.0, "first").sum().backward()
    return [x.grad, y.grad, seen]


def several_results(torch: Any) -> Any:
    class Split(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            positions = x.argmax(0)
            ctx.mark_non_differentiable(positions)
            return x * 2, x * 3, positions

        @staticmethod
        def backward(ctx: Any, first: Any, second: Any, third: Any) -> Any:
            return first * 2 + second * 3

    x = torch.tensor([1.0, 5.0, 2.0], requires_grad=True)
    a, b, c = Split.apply(x)
    b.sum().backward()
    return [a, b, c, x.grad, c.requires_grad, b.output_nr]


def without_materialized_gradients(torch: Any) -> Any:
    seen = []

    class Two(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.set_materialize_grads(False)
            return x * 2, x * 3

        @staticmethod
        def backward(ctx: Any, first: Any, second: Any) -> Any:
            seen.append((first is None, second is None))
            return second * 3

    x = torch.tensor([1.0, 5.0], requires_grad=True)
    Two.apply(x)[1].sum().backward()
    return [seen, x.grad]


def used_twice(torch: Any) -> Any:
    class Cube(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x**3

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 3 * x**2 * grad

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = Cube.apply(Cube.apply(x) + x)
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    return [y, first, second]


def setup_context(torch: Any) -> Any:
    class Scale(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(x: Any, factor: Any) -> Any:
            return x * factor

        @staticmethod
        def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
            ctx.factor = inputs[1]

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * ctx.factor, None

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    Scale.apply(x, 3.0).sum().backward()
    return x.grad


def backward_twice(torch: Any) -> Any:
    class Square(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 2 * x * grad

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = Square.apply(x).sum()
    y.backward()
    y.backward()


def changed_after_saving(torch: Any) -> Any:
    class Square(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            (x,) = ctx.saved_tensors
            return 2 * x * grad

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    start = x * 1
    y = Square.apply(start).sum()
    start.add_(1)
    y.backward()


def wrong_number_of_gradients(torch: Any) -> Any:
    class Wrong(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any, y: Any) -> Any:
            return x + y

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    Wrong.apply(x, x).sum().backward()


def argument_returned(torch: Any) -> Any:
    class Identity(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return -grad

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = Identity.apply(x)
    (y * 3).sum().backward()
    return [y is x, x.grad, y.grad_fn.name()]


def under_no_grad(torch: Any) -> Any:
    class Double(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            return x * 2

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * 2

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    with torch.no_grad():
        y = Double.apply(x)
    return [y, y.requires_grad, Double.apply(x.detach()).requires_grad]


def written_argument(torch: Any) -> Any:
    class AddOne(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            x.add_(1)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx: Any, grad: Any) -> Any:
            return grad * 5

    x = torch.tensor([1.0, 2.0], requires_grad=True)
    y = x * 2
    z = AddOne.apply(y)
    z.sum().backward()
    return [z is y, z, x.grad]


def forward_missing(torch: Any) -> Any:
    class Nothing(torch.autograd.Function):  # type: ignore[misc]
        pass

    Nothing.apply(torch.ones(2, requires_grad=True))


PROGRAMS = [
    value
    for value in list(globals().values())
    if getattr(value, "__code__", None)
    and value.__module__ == __name__
    and value.__code__.co_varnames[:1] == ("torch",)
]


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_functions_agree_with_pytorch(program: Any) -> None:
    check(program)


class Spread(treadle.autograd.Function):
    """A gradient that its argument was broadcast to, or one that fits nothing."""

    @staticmethod
    def forward(ctx: Any, x: Any, shape: tuple[int, ...]) -> Any:
        ctx.shape = shape
        return x * 2

    @staticmethod
    def backward(ctx: Any, grad: Any) -> Any:
        return treadle.ones(ctx.shape), None


def test_a_broadcast_gradient_is_summed_and_a_wrong_one_is_refused() -> None:
    x = treadle.ones(1, 3, requires_grad=True)
    Spread.apply(x, (4, 2, 3)).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [[8.0, 8.0, 8.0]]
    with pytest.raises(RuntimeError, match=r"index 0 - got \[7\] but expected shape compatible"):
        Spread.apply(x, (7,)).sum().backward()
