"""A network from ready-made layers: `nn.Sequential`, a loss module, and an update by hand.

It runs unchanged with `import torch`.
"""

import argparse

import treadle as torch

BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10
LEARNING_RATE = 1e-4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    steps = parser.parse_args().steps

    torch.manual_seed(0)
    x = torch.randn(BATCH, INPUTS)
    y = torch.randn(BATCH, OUTPUTS)
    model = torch.nn.Sequential(
        torch.nn.Linear(INPUTS, HIDDEN),
        torch.nn.ReLU(),
        torch.nn.Linear(HIDDEN, OUTPUTS),
    )
    loss_fn = torch.nn.MSELoss(reduction="sum")

    for step in range(steps):
        loss = loss_fn(model(x), y)
        if step % 100 == 99 or step == 0:
            print(step, loss.item())
        model.zero_grad()
        loss.backward()
        with torch.no_grad():
            for param in model.parameters():
                param -= LEARNING_RATE * param.grad


if __name__ == "__main__":
    main()
