"""``treadle.nn``: modules, parameters, functional forms and initialisers under PyTorch's names.

It only re-exports; every family lives in its own file.
"""

from treadle.nn import functional, init, modules
from treadle.nn.module import Module
from treadle.nn.modules import *  # noqa: F403
from treadle.nn.modules import __all__ as _module_names
from treadle.nn.parameter import Parameter

__all__ = ["Module", "Parameter", "functional", "init", "modules", *_module_names]
