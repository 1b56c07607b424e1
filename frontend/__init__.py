"""Treadle: PyTorch's API as an open compiler. ``import treadle as torch``.

This file only names what users import; every function lives in the module of its family, whose
``__all__`` says what it exports.
"""

from treadle import (
    autograd as autograd,
    methods,
    nn as nn,
    optim as optim,
    return_types as return_types,
    utils as utils,
)
from treadle.autograd.grad_mode import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from treadle.device import device as device
from treadle.dtypes import *
from treadle.engine import (
    reset_statistics as reset_statistics,
    statistics as statistics,
    synchronize as synchronize,
)
from treadle.functions.contraction import *
from treadle.functions.creation import *
from treadle.functions.indexing import *
from treadle.functions.joining import *
from treadle.functions.movement import *
from treadle.functions.pointwise import *
from treadle.functions.random import *
from treadle.functions.reduction import *
from treadle.printing import set_printoptions as set_printoptions
from treadle.size import Size as Size
from treadle.tensor import Tensor as Tensor

methods.install()

__version__ = "0.1.0"
