"""``treadle dump``: what it prints, that it prints it the same way each time, and its errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from treadle.cli import main
from treadle.ir.parser import parse_graph

SCRIPT = """\
import sys
import treadle as torch

w = torch.ones(3, 2, requires_grad=True)
x = torch.tensor([[1.0, 2.0, 3.0]])
for step in range(4):
    loss = torch.relu(x @ w).sum()
    loss.backward()
    with torch.no_grad():
        w -= 0.1 * w.grad
        w.grad = None
    print("loss", loss.item(), *sys.argv[1:])
"""


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "loop.py").write_text(SCRIPT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TREADLE_CACHE", "0")
    return "loop.py"


def test_the_step_is_shown_with_types_and_source_lines(
    script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dump", script]) == 0
    shown = capsys.readouterr()
    assert "loss" in shown.err and "loss" not in shown.out
    assert "dot(%0, %1)  // loop.py:7" in shown.out
    graph = parse_graph(shown.out.split("\n", 1)[1])
    assert [str(value.type) for value in graph.inputs] == ["f32[1,3]", "f32[3,2]"]


def test_every_pass_is_shown(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", script, "--print-ir-after-all"]) == 0
    out = capsys.readouterr().out
    passes = [line for line in out.splitlines() if line.startswith("// after")]
    assert passes[0] == "// after simplify" and passes[-1] == "// after memory-plan"
    assert "memory = [" in out


@pytest.mark.parametrize(
    ("emit", "expected"),
    [
        ("loops", "kernel @k_"),
        ("llvm", "define void @program_"),
        ("asm", "program_step:"),
        ("cuda", "__global__"),
    ],
)
def test_kernels_are_shown_the_same_way_each_time(
    script: str, capsys: pytest.CaptureFixture[str], emit: str, expected: str
) -> None:
    texts = []
    for _ in range(2):
        assert main(["dump", script, f"--emit={emit}"]) == 0
        texts.append(capsys.readouterr().out)
    assert expected in texts[0]
    assert texts[0] == texts[1]
    assert str(Path.cwd()) not in texts[0]


def test_refused_fusions_have_reasons(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["dump", script, "--why"]) == 0
    assert "// not fused: " in capsys.readouterr().out


def test_arguments_after_two_dashes_are_the_scripts(
    script: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["dump", "--program", "all", script, "--", "--emit", "x"]) == 0
    assert "--emit x" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.py"], "no such script: missing.py"),
        (["loop.py", "--program", "99"], "--program must be step, all or a number below"),
        (["loop.py", "-p", "simplify,melt"], "unknown pass 'melt'; known: fuse"),
    ],
)
def test_mistakes_are_told_in_one_line(
    script: str, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert main(["dump", *arguments]) == 1
    error = capsys.readouterr().err
    assert f"treadle: error: {message}" in error
    assert "Traceback" not in error


def test_wrong_usage_ends_with_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["dump", "x.py", "--emit=poetry"])
    assert stopped.value.code == 2
    assert "choose from" in capsys.readouterr().err


@pytest.mark.parametrize("emit", ["loops", "cuda"])
def test_a_library_call_is_shown_as_a_step_of_the_host(
    emit: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "factor.py").write_text(
        "import treadle as torch\nprint(torch.linalg.qr(torch.ones(3, 3) * 2.0)[1].sum().item())\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TREADLE_CACHE", "0")
    assert main(["dump", "factor.py", f"--emit={emit}"]) == 0
    shown = capsys.readouterr().out
    assert "// library_qr: a step of the host, the library function qr\n" in shown
    assert "k_sum" in shown
