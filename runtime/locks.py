"""Locks that survive a fork.

A forked child has only the thread that forked: a lock held by another one would never be freed.
"""

from __future__ import annotations

import os
import threading
from contextlib import AbstractContextManager


def hold_across_forks(lock: AbstractContextManager[object]) -> None:
    """Let the forking thread hold a reentrant lock during each fork from now on.

    Locks are taken in the reverse order of these calls. A module calls this while it is imported,
    after the modules it uses, so that a fork takes locks in the order in which calls take them.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(
            before=lock.__enter__,
            after_in_parent=lambda: lock.__exit__(None, None, None) and None,
            after_in_child=lambda: lock.__exit__(None, None, None) and None,
        )


def fork_safe_lock() -> threading.RLock:
    """A reentrant lock that is free in forked children; make one per module, at its import."""
    lock = threading.RLock()
    hold_across_forks(lock)
    return lock
