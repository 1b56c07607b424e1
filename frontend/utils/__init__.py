"""``treadle.utils``: PyTorch's namespace for data loading and hook handles.

It only re-exports; every part lives in its own file.
"""

from treadle.utils import data, hooks

__all__ = ["data", "hooks"]
