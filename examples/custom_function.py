"""A differentiable function with a backward of its own: ReLU as an `autograd.Function`.

The network and the update are those of two_layer_net.py. It runs unchanged with `import torch`.
"""

import argparse

import treadle as torch

BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10
LEARNING_RATE = 1e-6


class ReLU(torch.autograd.Function):
    """max(x, 0), with the gradient written out."""

    @staticmethod
    def forward(ctx, input):
        ctx.save_for_backward(input)
        return input.clamp(min=0)

    @staticmethod
    def backward(ctx, grad_output):
        (input,) = ctx.saved_tensors
        grad_input = grad_output.clone()
        grad_input[input < 0] = 0
        return grad_input


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    steps = parser.parse_args().steps

    torch.manual_seed(0)
    x = torch.randn(BATCH, INPUTS)
    y = torch.randn(BATCH, OUTPUTS)
    w1 = torch.randn(INPUTS, HIDDEN, requires_grad=True)
    w2 = torch.randn(HIDDEN, OUTPUTS, requires_grad=True)

    for step in range(steps):
        prediction = ReLU.apply(x.mm(w1)).mm(w2)
        loss = (prediction - y).pow(2).sum()
        if step % 100 == 99 or step == 0:
            print(step, loss.item())
        loss.backward()
        with torch.no_grad():
            w1 -= LEARNING_RATE * w1.grad
            w2 -= LEARNING_RATE * w2.grad
            w1.grad.zero_()
            w2.grad.zero_()


if __name__ == "__main__":
    main()
