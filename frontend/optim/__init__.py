"""``treadle.optim``: optimisers under PyTorch's names.

It only re-exports; each algorithm lives in its own file.
"""

from treadle.optim.adam import Adam, AdamW
from treadle.optim.optimizer import Optimizer
from treadle.optim.sgd import SGD

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]
