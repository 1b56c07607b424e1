"""The house is built as planned: who imports whom, what is packaged, how long files are.

Reads the sources of the tree; nothing is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("ir", "tracer", "codegen", "runtime", "frontend")
SOURCES = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

# What each folder may import of the package; the frontend may import all.
MAY_IMPORT = {
    "ir": ("treadle.ir",),
    "tracer": ("treadle.ir", "treadle.tracer"),
    "codegen": ("treadle.ir", "treadle.codegen"),
    "runtime": (
        "treadle.ir.types",
        "treadle.ir.errors",
        "treadle.ir.settings",
        "treadle.ir.library",
        "treadle.codegen.artifact",
        "treadle.runtime",
    ),
}
# The stages meet in these files of the frontend alone.
JOINTS = (
    "frontend/engine.py",
    "frontend/programs.py",
    "frontend/compiler.py",
    "frontend/cli.py",
    "frontend/dump.py",
)
MAX_FILE_LINES, MAX_FUNCTION_LINES = 600, 60


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, with the line; names from a package count too."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: relative import"
            for alias in node.names:
                yield f"{node.module}.{alias.name}", node.lineno


def within(module: str, allowed: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def faults(paths: list[Path], wrong: object) -> list[str]:
    assert callable(wrong)
    return [
        f"{name_of(path)}:{line}: {module}"
        for path in paths
        for module, line in imports(path)
        if wrong(path, module)
    ]


@pytest.mark.parametrize("folder", MAY_IMPORT)
def test_a_folder_imports_only_what_lies_below_it(folder: str) -> None:
    def wrong(_path: Path, module: str) -> bool:
        return within(module, ("treadle",)) and not within(module, MAY_IMPORT[folder])

    assert faults([p for p in SOURCES if name_of(p).startswith(f"{folder}/")], wrong) == []


def test_only_the_frontends_joints_put_stages_together() -> None:
    def wrong(path: Path, module: str) -> bool:
        return within(module, ("treadle.codegen",)) and name_of(path) not in JOINTS

    assert faults([p for p in SOURCES if name_of(p).startswith("frontend/")], wrong) == []


def test_llvm_is_imported_where_its_text_is_made_and_compiled() -> None:
    def wrong(path: Path, module: str) -> bool:
        makes_text = name_of(path).startswith("codegen/llvm")
        compiles = name_of(path).startswith("runtime/")
        if within(module, ("llvmlite.ir",)):
            return not makes_text
        if within(module, ("llvmlite.binding",)):
            return not compiles
        return within(module, ("llvmlite",)) and not (makes_text or compiles)

    assert faults(SOURCES, wrong) == []


def test_pycuda_is_imported_in_the_cuda_runtime_alone() -> None:
    def wrong(path: Path, module: str) -> bool:
        return within(module, ("pycuda",)) and not name_of(path).startswith("runtime/cuda")

    assert faults(SOURCES, wrong) == []


def test_heavy_libraries_of_examples_are_not_imported() -> None:
    def wrong(_path: Path, module: str) -> bool:
        return within(module, ("torch", "sklearn", "scipy.sparse", "matplotlib"))

    assert faults(SOURCES, wrong) == []


def test_the_environment_is_read_in_one_place() -> None:
    def reads(path: Path) -> Iterator[int]:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
                yield node.lineno

    places = [f"{name_of(p)}:{n}" for p in SOURCES for n in reads(p)]
    assert [place for place in places if not place.startswith("ir/settings.py:")] == []


def test_every_package_is_listed_for_installation() -> None:
    lines = (ROOT / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    start = lines.index("packages = [", lines.index("[tool.setuptools]"))
    listed = [line.strip(' ",') for line in lines[start + 1 : lines.index("]", start)]]
    found = []
    for path in SOURCES:
        if path.name == "__init__.py":
            folder, *rest = path.parent.relative_to(ROOT).parts
            found.append(".".join(["treadle", *([] if folder == "frontend" else [folder]), *rest]))
    assert sorted(listed) == sorted(found)
    assert (ROOT / "frontend" / "py.typed").is_file()


def test_folders_with_code_are_packages() -> None:
    missing = {name_of(p.parent) for p in SOURCES if not (p.parent / "__init__.py").is_file()}
    assert missing == set()


def test_files_stay_short() -> None:
    long = [
        f"{name_of(path)}: {count} lines"
        for path in SOURCES + TESTS
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > MAX_FILE_LINES
    ]
    assert long == []


def test_functions_stay_short() -> None:
    long = []
    for path in SOURCES + TESTS:
        for node in ast.walk(tree_of(path)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > MAX_FUNCTION_LINES:
                    long.append(f"{name_of(path)}:{node.lineno}: {node.name}, {length} lines")
    assert long == []


def test_modules_say_what_they_are_for() -> None:
    silent = [name_of(path) for path in SOURCES + TESTS if not ast.get_docstring(tree_of(path))]
    assert silent == []
