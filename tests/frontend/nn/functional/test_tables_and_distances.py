"""Embeddings, one-hot vectors, distances and bilinear maps agree with PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F

INDICES = np.array([[1, 2, 2], [0, 5, 1]])


@pytest.mark.parametrize(
    "options", [{}, {"padding_idx": 2}, {"padding_idx": -1}, {"scale_grad_by_freq": True}], ids=str
)
def test_embedding_matches(options: dict[str, Any], rng: Any, same_as_torch: Any) -> None:
    def call(t: Any, weight: Any) -> Any:
        return t.nn.functional.embedding(t.tensor(INDICES), weight, **options)

    same_as_torch(call, rng.standard_normal((6, 4)), rtol=1e-12)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, float("inf")])
def test_max_norm_scales_the_rows_that_are_used_in_place(norm_type: float, rng: Any) -> None:
    torch = pytest.importorskip("torch")
    weight = rng.standard_normal((6, 4)) * 3
    found = []
    for library in (torch, treadle):
        table = library.tensor(weight)
        library.nn.functional.embedding(
            library.tensor(INDICES), table, max_norm=1.5, norm_type=norm_type
        )
        found.append(table.numpy())
    np.testing.assert_allclose(found[1], found[0], rtol=1e-6)
    np.testing.assert_array_equal(found[1][3], weight[3])


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding", [None, 2])
@pytest.mark.parametrize("form", ["rows", "offsets", "last offset"])
def test_embedding_bag_matches(
    form: str, padding: int | None, mode: str, rng: Any, same_as_torch: Any
) -> None:
    offsets = {"rows": None, "offsets": [0, 2, 2, 5], "last offset": [0, 0, 4, 6]}[form]
    indices = INDICES if offsets is None else INDICES.reshape(-1)

    def call(t: Any, weight: Any) -> Any:
        starts = None if offsets is None else t.tensor(offsets)
        return t.nn.functional.embedding_bag(
            t.tensor(indices),
            weight,
            starts,
            mode=mode,
            padding_idx=padding,
            include_last_offset=form == "last offset",
        )

    same_as_torch(call, rng.standard_normal((6, 4)), rtol=1e-12)


def test_embedding_bag_weighs_samples(rng: Any, same_as_torch: Any) -> None:
    def call(t: Any, weight: Any, factors: Any) -> Any:
        return t.nn.functional.embedding_bag(
            t.tensor(INDICES), weight, mode="sum", per_sample_weights=factors
        )

    same_as_torch(call, rng.standard_normal((6, 4)), rng.standard_normal((2, 3)), rtol=1e-12)


def test_one_hot_counts_classes_where_it_is_not_told() -> None:
    found = F.one_hot(treadle.tensor([[0, 2], [1, 0]]))
    assert found.dtype is treadle.int64
    np.testing.assert_array_equal(found.numpy(), np.eye(3, dtype=int)[[[0, 2], [1, 0]]])
    assert tuple(F.one_hot(treadle.tensor([1]), 5).shape) == (1, 5)


@pytest.mark.parametrize("p", [0.0, 1.0, 1.5, 2.0, 3.0, float("inf")])
def test_distances_match(p: float, rng: Any, same_as_torch: Any) -> None:
    x, y = rng.standard_normal((6, 4)), rng.standard_normal((6, 4))
    if p:
        same_as_torch(
            lambda t, x, y: t.nn.functional.pairwise_distance(x, y, p, keepdim=True),
            x,
            y,
            rtol=1e-9,
        )
    same_as_torch(lambda t, x: t.nn.functional.pdist(x, p), x, rtol=1e-9)


def test_pairs_are_numbered_exactly_for_many_rows(rng: Any) -> None:
    torch = pytest.importorskip("torch")
    x = rng.standard_normal((301, 1)).astype(np.float32)
    expected = torch.nn.functional.pdist(torch.tensor(x)).numpy()
    np.testing.assert_allclose(F.pdist(treadle.tensor(x)).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_cosine_similarity_matches(dim: int, rng: Any, same_as_torch: Any) -> None:
    x, y = rng.standard_normal((3, 4, 5)), rng.standard_normal((4, 5))
    same_as_torch(lambda t, x, y: t.nn.functional.cosine_similarity(x, y, dim), x, y, rtol=1e-9)


@pytest.mark.parametrize("biased", [False, True])
def test_bilinear_matches(biased: bool, rng: Any, same_as_torch: Any) -> None:
    shapes = [(2, 3, 4), (2, 3, 5), (6, 4, 5), *([(6,)] if biased else [])]
    arrays = [rng.standard_normal(shape) for shape in shapes]
    same_as_torch(lambda t, *a: t.nn.functional.bilinear(*a), *arrays, rtol=1e-10)


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_transposed_convolution_matches(
    count: int, groups: int, stride: int, rng: Any, same_as_torch: Any
) -> None:
    x = rng.standard_normal((2, 4, *(5, 4, 3)[:count]))
    weight = rng.standard_normal((4, 3, *(3, 2, 2)[:count]))
    bias = rng.standard_normal(3 * groups)

    def call(t: Any, x: Any, w: Any, c: Any) -> Any:
        function = getattr(t.nn.functional, f"conv_transpose{count}d")
        return function(x, w, c, stride, 1, stride - 1, groups, 2)

    same_as_torch(call, x, weight, bias, rtol=1e-9)


@pytest.mark.parametrize(
    "call",
    [
        lambda t: t.nn.functional.embedding(t.tensor([3]), t.ones(3, 2)),
        lambda t: t.nn.functional.embedding(t.tensor([0]), t.ones(3, 2), padding_idx=3),
        lambda t: t.nn.functional.embedding_bag(t.tensor([0]), t.ones(3, 2)),
        lambda t: t.nn.functional.embedding_bag(t.tensor([[0]]), t.ones(3, 2), mode="min"),
        lambda t: t.nn.functional.one_hot(t.tensor([0, 3]), 3),
        lambda t: t.nn.functional.one_hot(t.tensor([-1])),
        lambda t: t.nn.functional.one_hot(t.tensor([1.0])),
        lambda t: t.nn.functional.conv_transpose2d(t.ones(1, 2, 3, 3), t.ones(3, 2, 2, 2)),
        lambda t: t.nn.functional.conv_transpose1d(
            t.ones(1, 2, 3), t.ones(2, 2, 2), output_padding=1
        ),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(call)
