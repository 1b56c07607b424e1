"""A network as a class of its own: a subclass of `nn.Module` with a `forward`, trained by SGD.

It runs unchanged with `import torch`.
"""

import argparse

import treadle as torch

BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10


class TwoLayerNet(torch.nn.Module):
    """Linear, ReLU, linear."""

    def __init__(self, inputs, hidden, outputs):
        super().__init__()
        self.linear1 = torch.nn.Linear(inputs, hidden)
        self.linear2 = torch.nn.Linear(hidden, outputs)

    def forward(self, x):
        return self.linear2(self.linear1(x).clamp(min=0))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=500)
    steps = parser.parse_args().steps

    torch.manual_seed(0)
    x = torch.randn(BATCH, INPUTS)
    y = torch.randn(BATCH, OUTPUTS)
    model = TwoLayerNet(INPUTS, HIDDEN, OUTPUTS)
    criterion = torch.nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    for step in range(steps):
        loss = criterion(model(x), y)
        if step % 100 == 99 or step == 0:
            print(step, loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    main()
