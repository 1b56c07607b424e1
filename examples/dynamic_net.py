"""Python control flow in a model: each forward uses one shared layer zero to three times.

Trained by SGD with momentum. It runs unchanged with `import torch`.
"""

import argparse
import random

import treadle as torch

BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10


class DynamicNet(torch.nn.Module):
    """An input layer, a middle layer repeated at random, an output layer."""

    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.input_linear = torch.nn.Linear(inputs, hidden)
        self.middle_linear = torch.nn.Linear(hidden, hidden)
        self.output_linear = torch.nn.Linear(hidden, outputs)

    def forward(self, x):
        hidden = self.input_linear(x).clamp(min=0)
        # Each repetition uses the same weights; their gradients add up.
        for _ in range(random.randint(0, 3)):
            hidden = self.middle_linear(hidden).clamp(min=0)
        return self.output_linear(hidden)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    steps = parser.parse_args().steps

    random.seed(0)
    torch.manual_seed(0)
    x = torch.randn(BATCH, INPUTS)
    y = torch.randn(BATCH, OUTPUTS)
    model = DynamicNet(INPUTS, HIDDEN, OUTPUTS)
    criterion = torch.nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)

    for step in range(steps):
        loss = criterion(model(x), y)
        if step % 100 == 99 or step == 0:
            print(step, loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    main()
