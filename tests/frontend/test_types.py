"""What mypy, and so an editor, knows of the API: signatures, methods, and what does not exist."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.oracle

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is installed, however it was installed here."""
    root = tmp_path_factory.mktemp("installed")
    package = root / "treadle"
    package.mkdir()
    for entry in (ROOT / "frontend").iterdir():
        (package / entry.name).symlink_to(entry)
    for folder in ("codegen", "ir", "runtime", "tracer"):
        (package / folder).symlink_to(ROOT / folder)
    return root


def checked(script: str, sources: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """What mypy says of a user's script."""
    api = pytest.importorskip("mypy.api", reason="mypy is what this test asks")
    file = folder / "script.py"
    file.write_text(textwrap.dedent(script))
    monkeypatch.setenv("MYPYPATH", str(sources))
    cache = folder / "cache"
    options = ["--strict", "--follow-imports=silent", f"--cache-dir={cache}", str(file)]
    text: str = api.run(options)[0]
    return text


def test_a_training_script_type_checks_strictly(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
        import treadle as torch
        import treadle.nn.functional as F
        from treadle import nn

        class Net(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.first = nn.Linear(4, 8)
                self.second = nn.Linear(8, 2)

            def forward(self, x: torch.Tensor) -> torch.Tensor:
                hidden: torch.Tensor = F.relu(self.first(x))
                return hidden.view(-1, 8) @ self.second.weight.t() + self.second.bias

        net = Net()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        x = torch.randn(16, 4, dtype=torch.float32)
        target = torch.randint(0, 2, (16,))
        loss = F.cross_entropy(net(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        values, indices = x.max(dim=1)
        print(loss.item(), x.shape[0], x.sum(0).tolist(), torch.cat([x, x]).size())
        reveal_type(x.exp())
        reveal_type(torch.add(x, 1))
        reveal_type(x.add_(1))
        reveal_type(x.shape)
        reveal_type(x[0])
        reveal_type(x + 1)
    """
    said = checked(script, sources, tmp_path, monkeypatch)
    assert "error:" not in said, said
    assert said.count('Revealed type is "treadle.tensor.Tensor"') == 5, said
    assert 'Revealed type is "treadle.size.Size"' in said


def test_what_does_not_exist_is_an_error(
    sources: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = """
        import treadle as torch

        x = torch.zeros(3)
        x.no_such_method()
        torch.no_such_function(x)
        torch.sum(x, no_such_argument=1)
    """
    said = checked(script, sources, tmp_path, monkeypatch)
    assert said.count("error:") == 3, said
