"""Programs across processes: what is recorded does not depend on addresses or hash seeds.

So the next process finds the program on disk, and dumps compare byte for byte.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import treadle as torch
from treadle import programs
from treadle.ir.printer import print_graph

texts = []
programs.observe(lambda graph: texts.append(print_graph(graph)) or (lambda: None))
model = torch.nn.Sequential(
    torch.nn.Conv2d(1, 3, 3), torch.nn.ReLU(), torch.nn.MaxPool2d(2), torch.nn.Flatten(),
    torch.nn.Dropout(0.5), torch.nn.Linear(27, 8), torch.nn.Tanh(), torch.nn.Linear(8, 4),
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
images, classes = torch.randn(5, 1, 8, 8), torch.tensor([0, 1, 2, 3, 0])
for _ in range(3):
    loss = torch.nn.functional.cross_entropy(model(images), classes)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(loss.item())
print(*texts)
built = torch.statistics()
print("built", built.programs_compiled, "loaded", built.programs_loaded)
"""


def _run(folder: Path, hash_seed: int) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "TREADLE_CACHE_DIR": str(folder)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_a_second_process_records_the_same_programs_and_loads_them(tmp_path: Path) -> None:
    first, second = _run(tmp_path, 1), _run(tmp_path, 2)
    assert first[:-1] == second[:-1]
    assert first[-1].endswith("loaded 0")
    words = second[-1].split()
    assert words[1] == words[3] != "0"
