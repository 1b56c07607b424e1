"""Functions of ``nn.functional`` through compiled kernels against PyTorch's database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontend.opinfo.agreement_of_operators import check_compiled, operators_named

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("op", operators_named(lambda name: name.startswith("nn.functional.")))
def test_compiled_kernels_compute_what_pytorch_computes(op: Any) -> None:
    check_compiled(op)
