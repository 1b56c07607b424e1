"""Settings from the environment: defaults, what wins, and errors that name the variable."""

from __future__ import annotations

from pathlib import Path

import pytest

from treadle.ir.settings import read


def test_treadles_own_thread_count_wins_over_openmps() -> None:
    assert read({"OMP_NUM_THREADS": "3,2"}).threads == 3
    assert read({"OMP_NUM_THREADS": "3", "TREADLE_NUM_THREADS": "5"}).threads == 5


def test_the_cache_follows_the_xdg_folder_and_can_be_switched_off() -> None:
    assert read({"XDG_CACHE_HOME": "/x"}).cache_dir == Path("/x/treadle")
    assert read({"TREADLE_CACHE_DIR": "/y"}).cache_dir == Path("/y")
    assert read({"TREADLE_CACHE": "0"}).cache_dir is None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("TREADLE_NUM_THREADS", "none"),
        ("TREADLE_NUM_THREADS", "0"),
        ("TREADLE_CACHE_BYTES", "-1"),
        ("TREADLE_CPU_FEATURES", "avx2"),
        ("TREADLE_CPU_FEATURES", "+avx2,-"),
        ("TREADLE_BACKEND", "gpu"),
    ],
)
def test_a_bad_value_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(ValueError, match=variable):
        read({variable: value})
