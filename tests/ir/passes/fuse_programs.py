"""Graphs of training steps, written with builders as the API records them; not a test file."""

from __future__ import annotations

import math

from treadle.ir import build as b
from treadle.ir.gradients import vjp
from treadle.ir.graph import Graph, input_value
from treadle.ir.types import DType, TensorType, float32, int64
from treadle.ir.value import Value


class Inputs:
    """Numbers inputs as they are asked for."""

    def __init__(self) -> None:
        self.values: list[Value] = []

    def __call__(self, *shape: int, dtype: DType = float32) -> Value:
        value = input_value(len(self.values), TensorType(dtype, shape))
        self.values.append(value)
        return value

    def graph(self, *outputs: Value, donated: frozenset[int] = frozenset()) -> Graph:
        """A graph of all inputs so far."""
        return Graph("step", tuple(self.values), outputs, {}, donated)


def softmax(x: Value, axis: int = -1) -> Value:
    """Along one axis."""
    shifted = b.exp(x - b.max(x, (axis,), True))
    return shifted / b.sum(shifted, (axis,), True)


def layer_norm(x: Value, weight: Value, bias: Value) -> Value:
    """Over the last axis."""
    count = float(x.shape[-1])
    centered = x - b.sum(x, (-1,), True) / count
    variance = b.sum(centered * centered, (-1,), True) / count
    return centered * b.rsqrt(variance + 1e-5) * weight + bias


def gelu(x: Value) -> Value:
    """With the error function."""
    return x * 0.5 * (b.erf(x * math.sqrt(0.5)) + 1.0)


def relu(x: Value) -> Value:
    """As the API records it: NaN stays NaN."""
    return b.select(b.le(x, 0.0), 0.0, x)


def linear(x: Value, weight: Value, bias: Value) -> Value:
    """PyTorch's weight [out, in]."""
    return b.dot(x, b.transpose(weight)) + bias


def convolution(x: Value, weight: Value, bias: Value) -> Value:
    """x [n, c, h, w], weight [o, c, k, k]: no padding, stride 1."""
    grouped = b.reshape(x, (x.shape[0], 1, *x.shape[1:]))
    kernel = b.reshape(weight, (1, *weight.shape))
    found = b.conv(grouped, kernel, (1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1))
    flat = b.reshape(found, (found.shape[0], found.shape[2], *found.shape[3:]))
    return flat + b.reshape(bias, (1, bias.shape[0], 1, 1))


def windows(x: Value) -> Value:
    """2x2 windows as the last axis."""
    found = b.windows(x, (2, 3), (2, 2), (2, 2), (1, 1))
    return b.reshape(found, (*found.shape[:4], 4))


def max_pool(x: Value) -> Value:
    """2x2."""
    return b.max(windows(x), (4,))


def max_pool_gradient(x: Value, upstream: Value) -> Value:
    """To the first maximum of each window."""
    flat = windows(x)
    first = b.argmax(flat, 4)
    chosen = b.eq(b.iota(flat.shape, 4, int64), b.reshape(first, (*first.shape, 1)))
    spread = b.select(chosen, b.reshape(upstream, (*upstream.shape, 1)), 0.0)
    shape = (*flat.shape[:4], 2, 2)
    return b.fold(b.reshape(spread, shape), x.shape, (2, 3), (2, 2), (2, 2), (1, 1))


def cross_entropy(x: Value, target: Value) -> tuple[Value, Value]:
    """Mean loss over rows, and its gradient."""
    count, classes = x.shape
    shifted = x - b.max(x, (1,), True)
    powers = b.exp(shifted)
    total = b.sum(powers, (1,), True)
    index = b.reshape(target, (count, 1))
    picked = b.gather(shifted - b.log(total), index, 1)
    loss = -b.sum(picked) / float(count)
    hot = b.eq(b.iota((count, classes), 1, int64), index)
    return loss, (powers / total - b.select(hot, 1.0, b.full((), 0.0, float32))) / float(count)


def adam(
    inputs: Inputs, parameter: Value, gradient: Value, step: Value
) -> tuple[list[Value], list[int]]:
    """Updates of a parameter and its two moments, and the input slots they replace."""
    m, v = inputs(*parameter.shape), inputs(*parameter.shape)
    first = m * 0.9 + gradient * 0.1
    second = v * 0.999 + gradient * gradient * 0.001
    down = 1.0 - b.exp(step * math.log(0.9))
    up = b.sqrt(1.0 - b.exp(step * math.log(0.999)))
    moved = parameter - (1e-3 / down) * (first / (b.sqrt(second) / up + 1e-8))
    return [moved, first, second], [parameter.attrs[0], m.attrs[0], v.attrs[0]]


def two_layer_net() -> Graph:
    """A step of a net 1000-100-10 on 64 rows with SGD; parameters are donated."""
    inputs = Inputs()
    x, y = inputs(64, 1000), inputs(64, 10)
    parameters = [inputs(100, 1000), inputs(100), inputs(10, 100), inputs(10)]
    hidden = relu(linear(x, *parameters[:2]))
    error = linear(hidden, *parameters[2:]) - y
    loss = b.sum(error * error)
    gradients = vjp([loss], parameters, [b.constant(1.0, float32)])
    updated = [p - g * 1e-4 for p, g in zip(parameters, gradients, strict=True) if g is not None]
    return inputs.graph(loss, *updated, donated=frozenset(range(2, 6)))


def lenet(batch: int = 4) -> Graph:
    """A step of LeNet on 32x32 images with cross entropy and Adam; its state is donated."""
    inputs = Inputs()
    x, target, step = inputs(batch, 1, 32, 32), inputs(batch, dtype=int64), inputs()
    shapes = [(6, 1, 5, 5), (6,), (16, 6, 5, 5), (16,), (120, 400), (120,), (84, 120), (84,)]
    weights = [inputs(*shape) for shape in (*shapes, (10, 84), (10,))]
    first = relu(convolution(x, *weights[:2]))
    pooled = max_pool(first)
    second = relu(convolution(pooled, *weights[2:4]))
    flat = b.reshape(max_pool(second), (batch, 400))
    hidden = relu(linear(flat, *weights[4:6]))
    logits = linear(relu(linear(hidden, *weights[6:8])), *weights[8:])
    loss, upstream = cross_entropy(logits, target)

    *dense, back = vjp([logits], [*weights[4:], flat], [upstream])
    assert back is not None
    upstream = max_pool_gradient(second, b.reshape(back, (batch, 16, 5, 5)))
    *conv2, back = vjp([second], [*weights[2:4], pooled], [upstream])
    assert back is not None
    conv1 = vjp([first], weights[:2], [max_pool_gradient(first, back)])
    outputs, donated = [loss], []
    for parameter, gradient in zip(weights, [*conv1, *conv2, *dense], strict=True):
        assert gradient is not None
        updated, slots = adam(inputs, parameter, gradient, step)
        outputs += updated
        donated += slots
    return inputs.graph(*outputs, donated=frozenset(donated))


def dense_net(layers: int, width: int = 32) -> Graph:
    """A step of equal layers with Adam."""
    inputs = Inputs()
    x, y, step = inputs(16, width), inputs(16, width), inputs()
    weights = [inputs(width, width) for _ in range(layers)]
    biases = [inputs(width) for _ in range(layers)]
    hidden = x
    for weight, bias in zip(weights, biases, strict=True):
        hidden = relu(linear(hidden, weight, bias))
    error = hidden - y
    loss = b.sum(error * error)
    outputs, donated = [loss], []
    parameters = [*weights, *biases]
    gradients = vjp([loss], parameters, [b.constant(1.0, float32)])
    for parameter, gradient in zip(parameters, gradients, strict=True):
        assert gradient is not None
        updated, slots = adam(inputs, parameter, gradient, step)
        outputs += updated
        donated += slots
    return inputs.graph(*outputs, donated=frozenset(donated))


def attention(heads: int = 2, length: int = 8, width: int = 16) -> Graph:
    """One block of a transformer forward: norm, attention, residual, norm, gelu, residual."""
    inputs = Inputs()
    x = inputs(2, length, width)
    queries, keys, values, out = (inputs(width, width) for _ in range(4))
    normal = layer_norm(x, inputs(width), inputs(width))

    def project(weight: Value) -> Value:
        wide = b.dot(b.reshape(normal, (2 * length, width)), weight)
        return b.permute(b.reshape(wide, (2, length, heads, width // heads)), (0, 2, 1, 3))

    scores = b.dot(project(queries), b.transpose(project(keys))) * (width // heads) ** -0.5
    mask = b.ge(b.iota((length, length), 0, int64), b.iota((length, length), 1, int64))
    weights = softmax(b.select(mask, scores, -math.inf))
    mixed = b.permute(b.dot(weights, project(values)), (0, 2, 1, 3))
    x = x + b.reshape(b.dot(b.reshape(mixed, (2 * length, width)), out), x.shape)
    normal = layer_norm(x, inputs(width), inputs(width))
    up, down = inputs(width, 4 * width), inputs(4 * width, width)
    wide = gelu(b.dot(b.reshape(normal, (2 * length, width)), up))
    return inputs.graph(x + b.reshape(b.dot(wide, down), x.shape))
