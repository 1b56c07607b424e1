"""The network of sequential.py with its parameters updated by `optim.Adam`.

It runs unchanged with `import torch`.
"""

import argparse

import treadle as torch

BATCH, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10


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
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    for step in range(steps):
        loss = loss_fn(model(x), y)
        if step % 100 == 99 or step == 0:
            print(step, loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    main()
