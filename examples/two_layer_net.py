"""A network of two layers in plain tensors: autograd gives gradients, the update is by hand.

Fits random outputs to random inputs. It runs unchanged with `import torch`.
"""

import argparse

import treadle as torch

BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10
LEARNING_RATE = 1e-6


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
        prediction = x.mm(w1).clamp(min=0).mm(w2)
        loss = (prediction - y).pow(2).sum()
        if step % 100 == 99 or step == 0:
            print(step, loss.item())
        loss.backward()
        # The update is no part of the function to be differentiated.
        with torch.no_grad():
            w1 -= LEARNING_RATE * w1.grad
            w2 -= LEARNING_RATE * w2.grad
            # Gradients accumulate until they are cleared.
            w1.grad.zero_()
            w2.grad.zero_()


if __name__ == "__main__":
    main()
