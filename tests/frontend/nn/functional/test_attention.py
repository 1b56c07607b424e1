"""Attention agrees with PyTorch: masks, scales, shared heads, and the multi-head layer."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import treadle
import treadle.nn.functional as F

SHAPES = {
    "4-D": ((2, 3, 4, 6), (2, 3, 5, 6), (2, 3, 5, 6)),
    "3-D": ((2, 4, 6), (2, 5, 6), (2, 5, 6)),
    "2-D": ((4, 6), (5, 6), (5, 6)),
    "wider values": ((2, 3, 4, 6), (2, 3, 5, 6), (2, 3, 5, 7)),
    "broadcast": ((2, 3, 4, 6), (1, 3, 5, 6), (2, 1, 5, 6)),
}


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("options", [{}, {"is_causal": True}, {"scale": 0.3}], ids=str)
def test_attention_matches(
    options: dict[str, Any], name: str, rng: Any, same_as_torch: Any
) -> None:
    arrays = [rng.standard_normal(shape) for shape in SHAPES[name]]
    if name == "broadcast":
        _same_values(arrays, options)
        return
    same_as_torch(
        lambda t, *a: t.nn.functional.scaled_dot_product_attention(*a, **options),
        *arrays,
        rtol=1e-9,
    )


def _same_values(arrays: list[Any], options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    found = []
    for library in (torch, treadle):
        leaves = [library.tensor(array).requires_grad_() for array in arrays]
        result = library.nn.functional.scaled_dot_product_attention(*leaves, **options)
        (result**2).sum().backward()
        found.append([result.detach().numpy(), *(leaf.grad.numpy() for leaf in leaves)])
    for ours, theirs in zip(found[1], found[0], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("shape", [(4, 5), (3, 4, 5), (2, 1, 4, 5)])
def test_masks_match(shape: tuple[int, ...], rng: Any, same_as_torch: Any) -> None:
    arrays = [rng.standard_normal(s) for s in SHAPES["4-D"]]
    allowed = rng.random(shape) < 0.6
    allowed[..., 1, :] = False  # a query that may look at nothing

    def masked(t: Any, *a: Any) -> Any:
        return t.nn.functional.scaled_dot_product_attention(*a, attn_mask=t.tensor(allowed))

    same_as_torch(masked, *arrays, rtol=1e-9)

    def added(t: Any, q: Any, k: Any, v: Any, mask: Any) -> Any:
        return t.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)

    same_as_torch(added, *arrays, rng.standard_normal(shape), rtol=1e-9)


def test_groups_of_heads_share_keys_and_values(rng: Any) -> None:
    arrays = [rng.standard_normal(s) for s in ((2, 6, 4, 5), (2, 2, 3, 5), (2, 2, 3, 5))]
    _same_values(arrays, {"enable_gqa": True})


def test_dropout_keeps_the_mean_and_zeroes_some_weights() -> None:
    treadle.manual_seed(0)
    x = treadle.ones(1, 1, 64, 8)
    result = F.scaled_dot_product_attention(x, x, x, dropout_p=0.5)
    assert abs(float(result.mean()) - 1.0) < 0.1
    assert float(result.std()) > 0.01
    everything = F.scaled_dot_product_attention(x, x, x, dropout_p=1.0)
    assert float(everything.abs().max()) == 0.0


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize(
    "extra", ["", "mask", "3-D mask", "padding", "biases", "zeros", "separate", "cross"]
)
def test_multi_head_attention_matches(extra: str, batched: bool, weights: bool, rng: Any) -> None:
    torch = pytest.importorskip("torch")
    length, batch, extent, heads = 4, 2, 6, 3
    if extra == "3-D mask" and not batched:
        batch = 1
    shape = (length, batch, extent) if batched else (length, extent)
    arrays = {
        "x": rng.standard_normal(shape),
        "y": rng.standard_normal(shape),
        "w": rng.standard_normal((3 * extent, extent)),
        "b": rng.standard_normal(3 * extent),
        "o": rng.standard_normal((extent, extent)),
        "ob": rng.standard_normal(extent),
        "kb": rng.standard_normal((1, 1, extent)),
    }
    mask = rng.random((length, length)) < 0.4
    np.fill_diagonal(mask, False)
    padding = np.zeros((batch, length) if batched else (length,), bool)
    padding[..., -1] = True

    def run(t: Any) -> Any:
        p = {name: t.tensor(array).requires_grad_() for name, array in arrays.items()}
        options: dict[str, Any] = {"need_weights": weights}
        biases = (p["kb"], p["kb"] * 2.0) if extra == "biases" else (None, None)
        if extra == "mask":
            options["attn_mask"] = t.tensor(mask)
        if extra == "3-D mask":
            options["attn_mask"] = t.tensor(np.stack([mask] * batch * heads))
            options["average_attn_weights"] = False
        if extra == "padding":
            options["key_padding_mask"] = t.tensor(padding)
        if extra == "separate":
            parts = p["w"].chunk(3)
            names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
            options |= {"use_separate_proj_weight": True, **dict(zip(names, parts, strict=True))}
        key = p["y"] if extra in ("cross", "separate") else p["x"]
        output, found = t.nn.functional.multi_head_attention_forward(
            p["x"], key, key, extent, heads, p["w"], p["b"], *biases, extra == "zeros", 0.0,
            p["o"], p["ob"], **options,
        )  # fmt: skip
        loss = (output**2).sum() + (0.0 if found is None else (found**2).sum())
        loss.backward()
        results = [output.detach(), *([] if found is None else [found.detach()])]
        return [r.numpy() for r in results] + [
            leaf.grad.numpy() for leaf in p.values() if leaf.grad is not None
        ]

    expected, found = run(torch), run(treadle)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x, t: f.scaled_dot_product_attention(x, x.double(), x),
        lambda f, x, t: f.scaled_dot_product_attention(x[0, 0, 0], x, x),
        lambda f, x, t: f.scaled_dot_product_attention(x, x, x, t.ones(3, 4, 4), is_causal=True),
        lambda f, x, t: f.scaled_dot_product_attention(x, x, x, t.ones(4, 4).long()),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(lambda t: call(t.nn.functional, t.ones(2, 3, 4, 6), t))
