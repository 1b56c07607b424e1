"""The disk cache: sound entries come back, all others are absent; bounded; several processes."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from treadle.runtime import disk_cache
from treadle.runtime.disk_cache import DiskCache, digest

KEY = digest("a key")
OTHER = digest("another key")


@pytest.fixture
def cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "store", 1 << 20)


def entry_path(cache: DiskCache, key: str) -> Path:
    assert cache.folder is not None
    return cache.folder / key[:2] / key


def test_bytes_come_back(cache: DiskCache) -> None:
    for data in (b"", b"text", bytes(range(256)) * 100):
        cache.put(KEY, data)
        assert cache.get(KEY) == data
    assert cache.get(OTHER) is None


def test_digest_depends_on_the_boundaries_of_parts() -> None:
    assert digest("ab", "c") != digest("a", "bc")
    assert digest("ab") == digest(b"ab")


@pytest.mark.parametrize("damage", ["truncated", "flipped", "extended", "empty", "foreign"])
def test_damaged_entries_are_absent_and_removed(cache: DiskCache, damage: str) -> None:
    cache.put(KEY, b"x" * 1000)
    path = entry_path(cache, KEY)
    entry = path.read_bytes()
    flipped = bytearray(entry)
    flipped[500] ^= 1
    path.write_bytes(
        {
            "truncated": entry[:-1],
            "flipped": bytes(flipped),
            "extended": entry + b"x",
            "empty": b"",
            "foreign": b"\x7fELF" + b"\0" * 500,
        }[damage]
    )
    assert cache.get(KEY) is None
    assert not path.exists()


def test_every_flipped_header_byte_is_noticed(cache: DiskCache) -> None:
    cache.put(KEY, b"data")
    path = entry_path(cache, KEY)
    entry = path.read_bytes()
    for position in range(len(entry)):
        damaged = bytearray(entry)
        damaged[position] ^= 0x10
        path.write_bytes(bytes(damaged))
        assert cache.get(KEY) is None


def test_entry_under_another_key_is_foreign(cache: DiskCache) -> None:
    cache.put(KEY, b"data")
    target = entry_path(cache, OTHER)
    target.parent.mkdir(parents=True, exist_ok=True)
    entry_path(cache, KEY).rename(target)
    assert cache.get(OTHER) is None


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
def test_entries_of_other_users_are_not_trusted(cache: DiskCache) -> None:
    cache.put(KEY, b"data")
    os.chown(entry_path(cache, KEY), 12345, 12345)
    assert cache.get(KEY) is None


@pytest.mark.parametrize("key", ["", "../../etc/passwd", "ABCDEF0123456789", "abc", "a" * 200])
def test_keys_must_be_hex_digests(cache: DiskCache, key: str) -> None:
    with pytest.raises(ValueError, match="lower-case hex digits"):
        cache.get(key)
    with pytest.raises(ValueError, match="lower-case hex digits"):
        cache.put(key, b"")


def test_least_recently_used_entries_are_evicted(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 100_000)
    keys = [digest(str(number)) for number in range(40)]
    for age, key in enumerate(keys):
        cache.put(key, b"x" * 5000)
        # Explicit times: entries written within one tick of the clock are equally old.
        path = entry_path(cache, key)
        if path.exists():
            os.utime(path, (1000 + age, 1000 + age))
        cache.get(keys[0])
    total = sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file())
    assert total <= 100_000
    assert cache.get(keys[0]) is not None
    assert cache.get(keys[1]) is None
    assert cache.get(keys[-1]) is not None


def test_entries_above_the_bound_are_not_stored(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1000)
    cache.put(KEY, b"x" * 2000)
    assert cache.get(KEY) is None


def test_leftovers_of_dead_writers_are_removed(tmp_path: Path) -> None:
    folder = tmp_path / KEY[:2]
    folder.mkdir()
    old, new = folder / "old.1.0.tmp", folder / "new.1.0.tmp"
    old.write_bytes(b"")
    new.write_bytes(b"")
    os.utime(old, (1000, 1000))
    DiskCache(tmp_path, 1000).put(OTHER, b"data")
    assert not old.exists()
    assert new.exists()


def test_no_folder_stores_nothing() -> None:
    cache = DiskCache(None, 1000)
    cache.put(KEY, b"data")
    assert cache.get(KEY) is None


def test_unusable_folder_warns_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(tmp_path / "file" / "store", 1000)
    assert cache.get(KEY) is None
    with pytest.warns(RuntimeWarning, match="not kept on disk"):
        cache.put(KEY, b"data")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.put(KEY, b"data")
    assert cache.get(KEY) is None


def test_shared_cache_follows_settings(cache_folder: Path) -> None:
    assert disk_cache.shared().folder == cache_folder
    assert disk_cache.shared() is disk_cache.shared()


WRITER = """
import sys, pathlib, random
from treadle.runtime.disk_cache import DiskCache, digest
cache = DiskCache(pathlib.Path(sys.argv[1]), 200_000)
chance = random.Random(sys.argv[2])
for step in range(300):
    number = chance.randrange(40)
    data = bytes([number]) * (number * 300)
    cache.put(digest(str(number)), data)
    found = cache.get(digest(str(chance.randrange(40))))
    assert found is None or len(set(found)) <= 1
    assert not found or len(found) == found[0] * 300
"""


def test_processes_share_a_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen([*command, str(seed)], stderr=subprocess.PIPE) for seed in range(3)]
    results = [(writer.communicate()[1], writer.returncode) for writer in writers]
    assert results == [(b"", 0)] * 3
    assert not list(tmp_path.rglob("*.tmp"))
