"""Autograd: accumulation, graphs kept and freed, modes, hooks, as PyTorch has them."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

import treadle
from tests.frontend.agreement import check
from treadle.ir import settings
from treadle.runtime.memory import memory_statistics

oracle = pytest.mark.oracle
counts_memory = pytest.mark.skipif(
    settings.current().backend == "interp", reason="the interpreter's arrays are not counted"
)


def leaf(torch: Any) -> Any:
    return torch.tensor([0.5, 1.5, 2.5], requires_grad=True)


def twice(torch: Any) -> Any:
    x = leaf(torch)
    y = (x * x).sum()
    y.backward()
    y.backward()


def twice_retained(torch: Any) -> Any:
    x = leaf(torch)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    return x.grad


def twice_without_saved(torch: Any) -> Any:
    x = leaf(torch)
    y = (x + 1).sum()
    y.backward()
    y.backward()
    return x.grad


def shared_part_twice(torch: Any) -> Any:
    x = leaf(torch)
    shared = x.exp()
    (shared * 2).sum().backward()
    (shared * 3).sum().backward()


def non_scalar(torch: Any) -> Any:
    (leaf(torch) * 2).backward()


def non_scalar_with_gradient(torch: Any) -> Any:
    x = leaf(torch)
    (x * x).backward(torch.tensor([1.0, 2.0, 3.0]))
    return x.grad


def gradient_of_another_shape(torch: Any) -> Any:
    (leaf(torch) * 2).backward(torch.ones(2))


def without_graph(torch: Any) -> Any:
    torch.ones(3).sum().backward()


def accumulation(torch: Any) -> Any:
    x = leaf(torch)
    seen = []
    for factor in (1.0, 2.0, 3.0):
        (x * factor).sum().backward()
        seen.append(x.grad.clone())
    first = x.grad
    x.grad = None
    x.sum().backward()
    return [seen, x.grad, first]


def accumulation_is_in_place(torch: Any) -> Any:
    x = leaf(torch)
    x.sum().backward()
    kept = x.grad
    x.sum().backward()
    x.grad.zero_()
    (x * 4).sum().backward()
    return [kept is x.grad, kept]


def leaf_as_root(torch: Any) -> Any:
    x = torch.tensor(2.0, requires_grad=True)
    x.backward()
    return x.grad


def detached_factor(torch: Any) -> Any:
    x = leaf(torch)
    (x * x.detach()).sum().backward()
    return x.grad


def detached_equal_values(torch: Any) -> Any:
    x = leaf(torch)
    y = x * 2
    (y * (x * 2).detach() + y.detach() * y).sum().backward()
    return x.grad


def many_uses(torch: Any) -> Any:
    x = leaf(torch)
    total = x * 0
    for _ in range(20):
        total = total + x * x
    total.sum().backward()
    return x.grad


def both_operands(torch: Any) -> Any:
    x = leaf(torch)
    (x * x + x / x - x + torch.maximum(x, x)).sum().backward()
    return x.grad


def several_roots(torch: Any) -> Any:
    x = leaf(torch)
    y = x * 2
    torch.autograd.backward([y.sum(), (y * y).sum()])
    return x.grad


def only_some_inputs(torch: Any) -> Any:
    x, y = leaf(torch), leaf(torch)
    (x * y).sum().backward(inputs=[x])
    return [x.grad, y.grad]


def grad_of_several(torch: Any) -> Any:
    x, y = leaf(torch), leaf(torch)
    found = torch.autograd.grad((x * y).sum(), [x, y])
    return [found, x.grad]


def grad_of_intermediate(torch: Any) -> Any:
    x = leaf(torch)
    y = x * 2
    z = y.exp().sum()
    return torch.autograd.grad(z, [y, x], retain_graph=True)


def grad_unused(torch: Any) -> Any:
    x, y = leaf(torch), leaf(torch)
    return torch.autograd.grad(x.sum(), [x, y])


def grad_unused_allowed(torch: Any) -> Any:
    x, y = leaf(torch), leaf(torch)
    return torch.autograd.grad(x.sum(), [x, y], allow_unused=True)


def grad_unused_materialized(torch: Any) -> Any:
    x, y = leaf(torch), leaf(torch)
    return torch.autograd.grad(x.sum(), [x, y], materialize_grads=True)


def grad_of_constant(torch: Any) -> Any:
    return torch.autograd.grad(leaf(torch).sum(), torch.ones(3))


def grad_with_upstream(torch: Any) -> Any:
    x = leaf(torch)
    return torch.autograd.grad(x * x, x, torch.tensor([1.0, 0.0, 2.0]))


def second_derivative(torch: Any) -> Any:
    x = leaf(torch)
    (first,) = torch.autograd.grad((x**3).sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x, create_graph=True)
    (third,) = torch.autograd.grad(second.sum(), x)
    return [first, second, third]


def gradient_penalty(torch: Any) -> Any:
    x, w = leaf(torch), torch.tensor([[1.0, 2.0, 3.0], [0.5, 0.25, 1.0]], requires_grad=True)
    out = (w @ x).tanh().sum()
    (g,) = torch.autograd.grad(out, x, create_graph=True)
    (out + g.pow(2).sum()).backward()
    return [w.grad, x.grad]


def create_graph_accumulates_graphs(torch: Any) -> Any:
    x = leaf(torch)
    (x**2).sum().backward(create_graph=True)
    grad = x.grad
    x.grad = None
    grad.sum().backward()
    return [grad, x.grad]


def requires_grad_rules(torch: Any) -> Any:
    x = leaf(torch)
    with torch.no_grad():
        inside = x * 2
        leaf_inside = torch.ones(2, requires_grad=True)
    integer = torch.ones(2, dtype=torch.int64)
    return [
        (x * 2).requires_grad, inside.requires_grad, leaf_inside.requires_grad,
        (x > 1).requires_grad, x.detach().requires_grad, x.argmax().requires_grad,
        integer.requires_grad, x.is_leaf, (x * 2).is_leaf, inside.is_leaf, x.data.requires_grad,
        (x.detach() * 2).is_leaf, x.long().requires_grad, x.max(0).indices.requires_grad,
        x.grad_fn is None, (x * 1).output_nr,
    ]  # fmt: skip


def integer_leaf(torch: Any) -> Any:
    torch.ones(2, dtype=torch.int64).requires_grad_()


def integer_creation(torch: Any) -> Any:
    torch.tensor([1, 2], requires_grad=True)


def flag_of_computed(torch: Any) -> Any:
    (leaf(torch) * 2).requires_grad = False


def frozen(torch: Any) -> Any:
    x, y = leaf(torch), leaf(torch)
    x.requires_grad_(False)
    (x * y).sum().backward()
    return [x.grad, y.grad]


def modes(torch: Any) -> Any:
    x = leaf(torch)
    seen = [torch.is_grad_enabled()]
    with torch.no_grad():
        seen.append((x * 2).requires_grad)
        with torch.enable_grad():
            seen.append((x * 2).requires_grad)
        seen.append((x * 2).requires_grad)
    with torch.set_grad_enabled(False):
        seen.append((x * 2).requires_grad)
    previous = torch.set_grad_enabled(False)
    seen.append(torch.is_grad_enabled())
    torch.set_grad_enabled(True)
    with torch.inference_mode():
        seen.append((x * 2).requires_grad)
    with torch.inference_mode(False):
        seen.append((x * 2).requires_grad)
    del previous
    return [*seen, torch.is_grad_enabled()]


def mode_after_error(torch: Any) -> Any:
    try:
        with torch.no_grad():
            raise KeyError
    except KeyError:
        return torch.is_grad_enabled()


def decorators(torch: Any) -> Any:
    x = leaf(torch)

    @torch.no_grad()
    def with_call(x: Any) -> Any:
        return x * 2

    @torch.no_grad
    def bare(x: Any) -> Any:
        return x * 2

    @torch.inference_mode()
    def inference(x: Any) -> Any:
        return x * 2

    @torch.enable_grad()
    def enabled(x: Any) -> Any:
        return x * 2

    @torch.set_grad_enabled(False)
    def switched(x: Any) -> Any:
        return x * 2

    torch.set_grad_enabled(True)

    @torch.no_grad()
    def generator(x: Any) -> Any:
        for factor in range(2):
            yield (x * factor).requires_grad

    between = []
    for item in generator(x):
        between += [item, torch.is_grad_enabled()]
    with torch.no_grad():
        inside = enabled(x).requires_grad
    functions = (with_call, bare, inference, enabled, switched)
    return [[f(x).requires_grad for f in functions], between, inside, with_call.__name__]


def leaf_hooks(torch: Any) -> Any:
    x, seen = leaf(torch), []
    handle = x.register_hook(lambda grad: seen.append(grad.clone()))
    x.register_hook(lambda grad: grad * 10)
    (x * 2).sum().backward()
    handle.remove()
    (x * 2).sum().backward()
    return [seen, x.grad]


def inner_hooks(torch: Any) -> Any:
    x, seen = leaf(torch), []
    y = x * 2
    y.register_hook(lambda grad: seen.append(grad.clone()))
    y.register_hook(lambda grad: grad + 1)
    z = y.exp()
    z.register_hook(lambda grad: grad * 0.5)
    z.sum().backward()
    return [seen, x.grad]


def hook_sees_the_sum(torch: Any) -> Any:
    x, seen = leaf(torch), []
    y = x * 2
    y.register_hook(lambda grad: seen.append(grad.clone()))
    (y * 2 + y * 3).sum().backward()
    return [seen, x.grad]


def hook_of_constant(torch: Any) -> Any:
    torch.ones(2).register_hook(print)


def retained_gradients(torch: Any) -> Any:
    x = leaf(torch)
    y = x * 2
    y.retain_grad()
    z = y * y
    z.sum().backward()
    return [y.grad, x.grad, z.is_leaf]


def retain_of_constant(torch: Any) -> Any:
    torch.ones(2).retain_grad()


def detach_in_place(torch: Any) -> Any:
    x = leaf(torch)
    y = x * 2
    y.detach_()
    return [y.requires_grad, y.is_leaf, (y * x).sum().backward(), x.grad]


def wrong_gradients_assigned(torch: Any) -> Any:
    x = leaf(torch)

    def kind_of_error(wrong: Any) -> str:
        try:
            x.grad = wrong
        except (RuntimeError, TypeError) as error:
            return type(error).__name__
        return "none"

    wrongs = (torch.ones(2), torch.ones(3, dtype=torch.float64), 1.0)
    messages = [kind_of_error(wrong) for wrong in wrongs]
    x.grad = torch.ones(3)
    x.sum().backward()
    return [messages, x.grad]


def mixed_types(torch: Any) -> Any:
    x = leaf(torch)
    w = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64, requires_grad=True)
    b = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    (x * w + x * b + x.double() * 2).sum().backward()
    return [x.grad, w.grad, b.grad]


def broadcasting(torch: Any) -> Any:
    a = torch.ones(3, 1, requires_grad=True)
    b = torch.arange(4.0).requires_grad_()
    c = torch.tensor(2.0, requires_grad=True)
    (a * b * c).pow(2).sum().backward()
    return [a.grad, b.grad, c.grad]


def backward_inside_no_grad(torch: Any) -> Any:
    x = leaf(torch)
    y = (x * x).sum()
    with torch.no_grad():
        y.backward()
    return [x.grad, x.grad.requires_grad]


def item_between(torch: Any) -> Any:
    x = leaf(torch)
    y = (x * x).exp()
    total = y.sum()
    number = total.item()
    total.backward()
    return [number, x.grad]


def gradients_after_update(torch: Any) -> Any:
    x = leaf(torch)
    seen = []
    for _ in range(3):
        loss = (x**2).sum()
        loss.backward()
        with torch.no_grad():
            x -= 0.1 * x.grad
            x.grad.zero_()
        seen.append(loss.detach())
    return [seen, x]


PROGRAMS = [value for value in list(globals().values()) if getattr(value, "__code__", None)
            and value.__module__ == __name__ and value.__code__.co_varnames[:1] == ("torch",)
            and value is not leaf]  # fmt: skip


@oracle
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.__name__)
def test_autograd_agrees_with_pytorch(program: Any) -> None:
    check(program)


NODES = {
    "examples": lambda t, x, w: (x.mm(w).clamp(min=0) - 1).pow(2).sum(),
    "numbers": lambda t, x, w: 2 * (x + 1) / 3 - 4,
    "reversed": lambda t, x, w: 1 - (2 / x),
    "matmul": lambda t, x, w: (x @ w).sigmoid().sum(1).max(),
    "views": lambda t, x, w: x.view(-1)[1:].reshape(1, -1).t().squeeze(),
    "joined": lambda t, x, w: t.cat([x, x]).exp().log().mean(dim=0, keepdim=True),
    "softmax": lambda t, x, w: t.nn.functional.softmax(x, dim=1).log(),
    "loss": lambda t, x, w: t.nn.functional.cross_entropy(x, t.tensor([0, 1])),
    "mse": lambda t, x, w: t.nn.functional.mse_loss(x, t.zeros(2, 3)),
    "where": lambda t, x, w: t.where(x > 0, x, -x).abs().sqrt(),
}


@oracle
@pytest.mark.parametrize("build", NODES.values(), ids=NODES)
def test_the_graph_shows_pytorchs_nodes(build: Any) -> None:
    def program(torch: Any) -> Any:
        x = torch.arange(6.0).reshape(2, 3).add(1).requires_grad_()
        w = torch.ones(3, 4).requires_grad_()
        names, stack = [], [(build(torch, x, w).grad_fn, 0)]
        while stack:
            node, depth = stack.pop()
            if node is None:
                names.append((depth, None))
                continue
            names.append((depth, node.name()))
            stack += [(item, depth + 1) for item, _number in reversed(node.next_functions)]
        return names

    check(program)


def test_a_chain_of_thousands_of_operations_needs_no_recursion() -> None:
    x = treadle.ones(2, requires_grad=True)
    y = x
    for _ in range(5000):
        y = y * 1.0001
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx([1.0001**5000] * 2, rel=1e-3)


def live_bytes() -> int:
    gc.collect()
    treadle.synchronize()
    return memory_statistics().live_bytes


@counts_memory
def test_a_graph_that_is_dropped_frees_its_memory() -> None:
    x = treadle.ones(256, 256, requires_grad=True)

    def forward() -> Any:
        y = (x.exp() @ x).sigmoid() @ x
        loss = y.sum()
        loss.item()
        return loss, y.grad_fn

    forward()
    before = live_bytes()
    loss, node = forward()
    assert live_bytes() > before
    reference = weakref.ref(node)
    del loss, node
    treadle.ones(1).item()
    assert reference() is None
    assert live_bytes() <= before


@counts_memory
def test_backward_frees_what_the_graph_saved_while_the_loss_lives() -> None:
    x = treadle.ones(256, 256, requires_grad=True)

    def step() -> Any:
        x.grad = None
        loss = ((x @ x).sigmoid() @ x).sum()
        loss.item()
        loss.backward()
        treadle.synchronize()
        return loss

    losses = [step() for _ in range(2)]
    before = live_bytes()
    losses += [step() for _ in range(3)]
    assert live_bytes() <= before + 3 * 64


def test_graphs_die_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        x = treadle.ones(3, requires_grad=True)
        y = x * 2
        reference = weakref.ref(y.grad_fn)
        y.sum().backward()
        treadle.synchronize()
        del y
        assert reference() is None
    finally:
        gc.enable()
