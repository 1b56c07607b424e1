"""LeNet on real handwritten digits: the 1,797 images that scikit-learn ships, in mini-batches.

Trains with Adam and cross entropy, then prints the accuracy on held-out digits and what was
compiled. It runs unchanged with `import torch`, but for that last summary.
"""

import argparse
import time

import numpy as np
from sklearn.datasets import load_digits
from tqdm import tqdm

import treadle as torch

SIDE = 32
BATCH = 64


def enlarge(images, side):
    """Bilinear interpolation of [N, H, H] images to [N, side, side]."""
    height = images.shape[1]
    # Centres of the new pixels in the old grid; beyond the old centres the edge continues.
    centre = np.clip((np.arange(side) + 0.5) * height / side - 0.5, 0, height - 1)
    low = np.minimum(centre.astype(int), height - 2)
    weights = np.zeros((side, height))
    weights[np.arange(side), low] = low + 1 - centre
    weights[np.arange(side), low + 1] = centre - low
    return weights @ images @ weights.T


class Digits(torch.utils.data.Dataset):
    """Images [1, 32, 32] with mean 0 and standard deviation 1, and their classes."""

    def __init__(self):
        data = load_digits()
        images = enlarge(data.images, SIDE)
        images = (images - images.mean()) / images.std()
        self.images = images.astype(np.float32)[:, None]
        self.classes = data.target

    def __len__(self):
        return len(self.classes)

    def __getitem__(self, index):
        return self.images[index], self.classes[index]


class LeNet(torch.nn.Module):
    """Two convolutions with pooling, then three linear layers."""

    def __init__(self):
        super().__init__()
        self.features = torch.nn.Sequential(
            torch.nn.Conv2d(1, 6, 5),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
            torch.nn.Conv2d(6, 16, 5),
            torch.nn.ReLU(),
            torch.nn.MaxPool2d(2),
        )
        self.classifier = torch.nn.Sequential(
            torch.nn.Flatten(),
            torch.nn.Linear(16 * 5 * 5, 120),
            torch.nn.ReLU(),
            torch.nn.Linear(120, 84),
            torch.nn.ReLU(),
            torch.nn.Linear(84, 10),
        )

    def forward(self, images):
        return self.classifier(self.features(images))


def train(model, loader, epochs, learning_rate):
    """Trains the model and shows the mean loss of each pass over the data."""
    criterion = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
    model.train()
    with tqdm(total=epochs * len(loader), unit="step") as progress:
        for epoch in range(1, epochs + 1):
            total = 0.0
            for images, classes in loader:
                optimizer.zero_grad()
                loss = criterion(model(images), classes)
                loss.backward()
                optimizer.step()
                total += loss.item()
                progress.update()
            progress.set_description(f"epoch {epoch}, loss {total / len(loader):.4f}")


def accuracy(model, loader):
    """Share of the digits that the model recognises."""
    model.eval()
    right = count = 0
    with torch.no_grad():
        for images, classes in loader:
            right += (model(images).argmax(dim=1) == classes).sum().item()
            count += len(classes)
    return right / count


def summary(statistics, seconds):
    """What was compiled, and where the seconds of training and testing went."""
    compiling, native = statistics.compile_seconds, statistics.native_seconds
    return (
        f"programs compiled  {statistics.programs_compiled}"
        f" ({statistics.programs_loaded} from the disk cache)\n"
        f"kernels compiled   {statistics.kernels_compiled}\n"
        f"kernels launched   {statistics.kernels_launched}\n"
        f"cache hits         {statistics.cache_hits} of {statistics.program_runs} programs run\n"
        f"time compiling     {compiling:.2f} s\n"
        f"time in kernels    {native:.2f} s\n"
        f"time in Python     {max(seconds - compiling - native, 0.0):.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--lr", type=float, default=2e-3, help="learning rate of Adam")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()

    torch.manual_seed(arguments.seed)
    digits = Digits()
    held_out = len(digits) // 5
    training, testing = torch.utils.data.random_split(digits, [len(digits) - held_out, held_out])
    # Batches of one size are steps of one shape: a last short batch would be a program of its own.
    loader = torch.utils.data.DataLoader(training, BATCH, shuffle=True, drop_last=True)
    model = LeNet()

    start = time.perf_counter()
    train(model, loader, arguments.epochs, arguments.lr)
    trained = time.perf_counter() - start
    share = accuracy(model, torch.utils.data.DataLoader(testing, BATCH))
    seconds = time.perf_counter() - start
    print(f"trained for {trained:.1f} s; {share:.1%} of {held_out} held-out digits are right")
    if hasattr(torch, "statistics"):
        print(summary(torch.statistics(), seconds))


if __name__ == "__main__":
    main()
