"""Distances between pairs of vectors, as layers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.frontend.agreement import check

pytestmark = pytest.mark.oracle


@pytest.mark.parametrize("options", [{}, {"p": 1.0, "eps": 0.5}, {"keepdim": True}])
def test_pairwise_distance_agrees_with_pytorch(options: dict[str, Any]) -> None:
    def program(torch: Any) -> Any:
        layer = torch.nn.PairwiseDistance(**options)
        x = torch.arange(12.0).reshape(4, 3).requires_grad_()
        distance = layer(x, torch.ones(4, 3))
        distance.sum().backward()
        return [repr(layer), distance, x.grad]

    check(program)


def test_cosine_similarity_agrees_with_pytorch() -> None:
    def program(torch: Any) -> Any:
        layer = torch.nn.CosineSimilarity(dim=0, eps=1e-3)
        x = torch.arange(12.0).reshape(4, 3).requires_grad_()
        similarity = layer(x, torch.ones(4, 3))
        similarity.sum().backward()
        return [similarity, x.grad]

    check(program)
