"""Functions of the package itself, as ``torch.add``, against PyTorch's operator database."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontend.opinfo.agreement_of_operators import (
    check_errors,
    check_meaning,
    operators_named,
)

pytestmark = pytest.mark.oracle

OPERATORS = operators_named(lambda name: "." not in name)


@pytest.mark.parametrize("op", OPERATORS)
def test_recorded_programs_mean_what_pytorch_computes(op: Any) -> None:
    check_meaning(op)


@pytest.mark.parametrize("op", OPERATORS)
def test_error_inputs_raise_what_pytorch_raises(op: Any) -> None:
    check_errors(op)
