"""A bounded store of bytes on disk, keyed by hex digests, shared by processes.

Entries are checked when read: a damaged or foreign one counts as absent. What the bytes mean is
the caller's business. A cache that cannot be used never stops a program.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import time
import warnings
from functools import lru_cache
from pathlib import Path

from treadle.ir import settings
from treadle.runtime.locks import fork_safe_lock

# Part of every checksum: entries of another layout are foreign.
_FORMAT = b"treadle cache 1\n"
_CHECKSUM_BYTES = 32
_KEY = re.compile(r"[0-9a-f]{16,128}")
# The folder is measured anew after this many entries, because other processes write too.
_PUTS_PER_SCAN = 64
# Evict down to this share of the bound, so that not every put evicts.
_KEEP = 0.8
_lock = fork_safe_lock()
# Temporary files this old were left by a process that died.
_STALE_SECONDS = 3600.0


def digest(*parts: str | bytes) -> str:
    """Hex digest of a sequence of parts (BLAKE2b, 32 bytes); the parts' boundaries count."""
    state = hashlib.blake2b(digest_size=_CHECKSUM_BYTES)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()


def _checksum(key: str, data: bytes) -> bytes:
    return bytes.fromhex(digest(_FORMAT, key, data))


class DiskCache:
    """Bytes by key in a folder, least recently used entries evicted.

    Args:
        folder: where entries live, made when first written to; None stores nothing.
        limit: bound on the bytes of all entries.
    """

    def __init__(self, folder: Path | None, limit: int) -> None:
        self.folder = folder
        self.limit = limit
        self._known_bytes = 0
        self._puts = 0
        self._names = itertools.count()
        self._warned = False

    def _path(self, folder: Path, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"a cache key must be 16 to 128 lower-case hex digits, found {key!r}")
        return folder / key[:2] / key

    def get(self, key: str) -> bytes | None:
        """The bytes stored under ``key``, or None; an entry that is not sound is removed."""
        if self.folder is None:
            return None
        path = self._path(self.folder, key)
        try:
            with path.open("rb") as file:
                if not _is_trusted(os.fstat(file.fileno())):
                    return None
                entry = file.read()
        except OSError:
            return None
        start = len(_FORMAT) + _CHECKSUM_BYTES
        data = entry[start:]
        if entry[:start] != _FORMAT + _checksum(key, data):
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        # The time of last use decides what is evicted.
        with contextlib.suppress(OSError):
            os.utime(path)
        return data

    def put(self, key: str, data: bytes) -> None:
        """Store ``data`` under ``key``; readers see all of it or nothing."""
        if self.folder is None:
            return
        path = self._path(self.folder, key)
        entry = _FORMAT + _checksum(key, data) + data
        if len(entry) > self.limit:
            return
        temporary = path.with_name(f"{key}.{os.getpid()}.{next(self._names)}.tmp")
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                temporary.write_bytes(entry)
                os.replace(temporary, path)
            except OSError:
                temporary.unlink(missing_ok=True)
                raise
        except OSError as error:
            self._warn(error)
            return
        self._account(len(entry))

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"programs are not kept on disk: {error}; set TREADLE_CACHE_DIR to a folder that"
                " can be written, or TREADLE_CACHE=0",
                RuntimeWarning,
                stacklevel=2,
            )

    def _account(self, nbytes: int) -> None:
        """Note a new entry and evict if the folder may be above its bound."""
        with _lock:
            self._known_bytes += nbytes
            due = self._puts % _PUTS_PER_SCAN == 0
            self._puts += 1
            if due or self._known_bytes > self.limit:
                self._known_bytes = self._evict()

    def _evict(self) -> int:
        """Remove the least recently used entries if above the bound; the bytes that are left."""
        found = self._entries()
        total = sum(size for _, size, _ in found)
        if total <= self.limit:
            return total
        for _, size, path in sorted(found):
            if total <= _KEEP * self.limit:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size
        return total

    def _entries(self) -> list[tuple[float, int, str]]:
        """Time of last use, bytes and path of each entry; leftovers of dead processes go."""
        assert self.folder is not None
        found = []
        now = time.time()
        with contextlib.suppress(OSError):
            for folder in [entry.path for entry in os.scandir(self.folder) if entry.is_dir()]:
                for entry in os.scandir(folder):
                    # Another process may remove an entry between listing and looking.
                    with contextlib.suppress(OSError):
                        facts = entry.stat(follow_symlinks=False)
                        if _KEY.fullmatch(entry.name):
                            found.append((facts.st_mtime, facts.st_size, entry.path))
                        elif _is_stale(entry.name, facts.st_mtime, now):
                            os.unlink(entry.path)
        return found


def _is_stale(name: str, written: float, now: float) -> bool:
    return name.endswith(".tmp") and now - written > _STALE_SECONDS


def _is_trusted(facts: os.stat_result) -> bool:
    """Whether an entry was written by this user or root: it is code that will be run."""
    return not hasattr(os, "geteuid") or facts.st_uid in (os.geteuid(), 0)


@lru_cache(maxsize=1)
def _shared(folder: Path | None, limit: int) -> DiskCache:
    return DiskCache(folder, limit)


def shared() -> DiskCache:
    """The cache that settings name."""
    chosen = settings.current()
    return _shared(chosen.cache_dir, chosen.cache_bytes)
