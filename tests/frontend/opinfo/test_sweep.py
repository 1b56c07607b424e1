"""Every sample of PyTorch's operator database; the figures of ``docs/operators.md``."""

from __future__ import annotations

import pytest

from tests.frontend.opinfo import harness
from tests.frontend.opinfo.agreement_of_operators import interpreter

pytestmark = [pytest.mark.oracle, pytest.mark.slow]

TARGET = 0.98


@pytest.mark.skipif(not harness.available(), reason="PyTorch is not installed")
def test_all_samples_of_the_operators_in_scope_agree_to_98_percent() -> None:
    agreed = {"forward": 0, "gradient": 0}
    total = {"forward": 0, "gradient": 0}
    with interpreter():
        for op in harness.operators():
            for dtype in harness.DTYPES:
                outcome = harness.compare(op, dtype)
                for kind in agreed:
                    agreed[kind] += getattr(outcome, kind).agreed
                    total[kind] += getattr(outcome, kind).total
    for kind, count in agreed.items():
        assert count >= TARGET * total[kind], f"{kind}: {count} of {total[kind]}"
