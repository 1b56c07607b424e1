"""Interpolation, grid sampling, padding modes and rearrangements agree with PyTorch."""

from __future__ import annotations

from typing import Any

import pytest

EXTENTS = {1: (5,), 2: (4, 5), 3: (3, 4, 5)}
MODES = [
    ("nearest", 1), ("nearest", 2), ("nearest", 3), ("nearest-exact", 1), ("nearest-exact", 2),
    ("nearest-exact", 3), ("linear", 1), ("bilinear", 2), ("trilinear", 3), ("bicubic", 2),
    ("area", 1), ("area", 2), ("area", 3),
]  # fmt: skip
SIZES: list[dict[str, Any]] = [
    {"size": 3},
    {"size": 8},
    {"scale_factor": 2},
    {"scale_factor": 1.7},
    {"scale_factor": 0.6, "recompute_scale_factor": True},
]


@pytest.mark.parametrize("options", SIZES, ids=str)
@pytest.mark.parametrize(("mode", "count"), MODES)
def test_interpolation_matches(
    mode: str, count: int, options: dict[str, Any], rng: Any, same_as_torch: Any
) -> None:
    x = rng.standard_normal((2, 3, *EXTENTS[count]))
    same_as_torch(lambda t, x: t.nn.functional.interpolate(x, mode=mode, **options), x, rtol=1e-9)


@pytest.mark.parametrize("size", [1, 3, 9])
@pytest.mark.parametrize(
    ("mode", "count"), [("linear", 1), ("bilinear", 2), ("trilinear", 3), ("bicubic", 2)]
)
def test_aligned_corners_match(
    mode: str, count: int, size: int, rng: Any, same_as_torch: Any
) -> None:
    x = rng.standard_normal((2, 3, *EXTENTS[count]))
    same_as_torch(
        lambda t, x: t.nn.functional.interpolate(x, size, mode=mode, align_corners=True),
        x,
        rtol=1e-9,
    )


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("size", [(3, 4), (12, 15), (5, 20)])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "lanczos"])
def test_antialiased_interpolation_matches(
    mode: str, size: tuple[int, int], align: bool, rng: Any, same_as_torch: Any
) -> None:
    if mode == "lanczos" and align:
        pytest.skip("lanczos aligns no corners")
    x = rng.standard_normal((1, 2, 9, 11))

    def call(t: Any, x: Any) -> Any:
        return t.nn.functional.interpolate(x, size, mode=mode, align_corners=align, antialias=True)

    same_as_torch(call, x, rtol=1e-6)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize(
    ("mode", "count"),
    [("bilinear", 2), ("nearest", 2), ("bicubic", 2), ("bilinear", 3), ("nearest", 3)],
)
def test_grid_sampling_matches(
    mode: str, count: int, padding: str, align: bool, rng: Any, same_as_torch: Any
) -> None:
    x = rng.standard_normal((2, 3, *EXTENTS[count]))
    grid = rng.uniform(-1.6, 1.6, (2, *(3, 4, 2)[:count], count))

    def call(t: Any, x: Any, grid: Any) -> Any:
        return t.nn.functional.grid_sample(x, grid, mode, padding, align)

    same_as_torch(call, x, grid, rtol=1e-8)


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("count", [2, 3])
def test_affine_grids_match(count: int, align: bool, rng: Any, same_as_torch: Any) -> None:
    theta = rng.standard_normal((2, count, count + 1))
    size = (2, 1, *EXTENTS[count])
    same_as_torch(lambda t, x: t.nn.functional.affine_grid(x, size, align), theta, rtol=1e-9)


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("batched", [True, False])
def test_padding_modes_match(
    batched: bool, count: int, mode: str, rng: Any, same_as_torch: Any
) -> None:
    pads = (2, 1, 0, 3, 1, 2)[: 2 * count]
    x = rng.standard_normal((*((2,) if batched else ()), 2, *((4, 5, 6)[:count])))
    same_as_torch(lambda t, x: t.nn.functional.pad(x, pads, mode), x, rtol=1e-12)


@pytest.mark.parametrize("mode", ["constant", "replicate", "circular"])
def test_negative_padding_crops(mode: str, rng: Any, same_as_torch: Any) -> None:
    x = rng.standard_normal((2, 2, 5, 6))
    same_as_torch(lambda t, x: t.nn.functional.pad(x, (-1, 2, 1, -2), mode), x, rtol=1e-12)


REARRANGEMENTS = {
    "pixel_shuffle": lambda f, x: f.pixel_shuffle(x, 2),
    "pixel_unshuffle": lambda f, x: f.pixel_unshuffle(x, 2),
    "channel_shuffle": lambda f, x: f.channel_shuffle(x, 4),
    "unfold": lambda f, x: f.unfold(x, (2, 3), 2, (1, 2), (1, 2)),
    "fold": lambda f, x: f.fold(f.unfold(x, (2, 3), 1, 1, 2), (4, 6), (2, 3), 1, 1, 2),
}


@pytest.mark.parametrize("name", REARRANGEMENTS)
def test_rearrangements_match(name: str, rng: Any, same_as_torch: Any) -> None:
    x = rng.standard_normal((2, 8, 4, 6))
    same_as_torch(lambda t, x: REARRANGEMENTS[name](t.nn.functional, x), x, rtol=1e-12)


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x: f.interpolate(x),
        lambda f, x: f.interpolate(x, 3, 2.0),
        lambda f, x: f.interpolate(x, (3, 4, 5)),
        lambda f, x: f.interpolate(x, scale_factor=(1.0, 2.0, 3.0)),
        lambda f, x: f.interpolate(x, 3, mode="nearest", align_corners=True),
        lambda f, x: f.interpolate(x, 3, mode="linear"),
        lambda f, x: f.interpolate(x[0], 3, mode="bilinear"),
        lambda f, x: f.interpolate(x, 3, mode="cubic"),
        lambda f, x: f.interpolate(x, 3, recompute_scale_factor=True),
        lambda f, x: f.interpolate(x, 3, antialias=True),
        lambda f, x: f.interpolate(x, 3, mode="lanczos"),
        lambda f, x: f.grid_sample(x, x, mode="cubic"),
        lambda f, x: f.affine_grid(x[0], (2, 1, 3, 3), False),
        lambda f, x: f.pad(x, (1, 2, 3)),
        lambda f, x: f.pad(x, (1, 1), "reflect"),
        lambda f, x: f.pad(x, (1, 1, 7, 1), "circular"),
        lambda f, x: f.pad(x, (1, 1), "mirror"),
        lambda f, x: f.pad(x, (1, 1, 1, 1), "reflect", 2.0),
        lambda f, x: f.pixel_shuffle(x, 3),
        lambda f, x: f.pixel_unshuffle(x, 5),
        lambda f, x: f.channel_shuffle(x, 3),
    ],
)
def test_bad_input_raises_what_pytorch_raises(call: Any, same_error_as_torch: Any) -> None:
    same_error_as_torch(lambda t: call(t.nn.functional, t.ones(2, 4, 4, 6)))
