"""``torch.autograd``: gradients of recorded operations.

``backward`` and ``grad`` run the graph; ``Function`` adds operations of one's own.
"""

from treadle.autograd import functional, graph
from treadle.autograd.differentiate import backward, grad
from treadle.autograd.function import Function
from treadle.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from treadle.autograd.variable import Variable

__all__ = [
    "Function",
    "Variable",
    "backward",
    "enable_grad",
    "functional",
    "grad",
    "graph",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_grad_enabled",
]
