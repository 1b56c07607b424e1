"""Functions of other namespaces, as ``linalg``, through compiled kernels against PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontend.opinfo.agreement_of_operators import check_compiled, operators_named

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize(
    "op", operators_named(lambda name: "." in name and not name.startswith("nn."))
)
def test_compiled_kernels_compute_what_pytorch_computes(op: Any) -> None:
    check_compiled(op)
