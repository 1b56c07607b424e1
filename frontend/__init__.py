"""Treadle: PyTorch's API as an open compiler. ``import treadle as torch``.

This file only names what users import; every function lives in the module of its family, whose
``__all__`` says what it exports.
"""

import importlib as _importlib

from treadle import (
    autograd as autograd,
    backends as backends,
    cuda as cuda,
    fft as fft,
    linalg as linalg,
    nn as nn,
    optim as optim,
    random as random,
    return_types as return_types,
    signal as signal,
    special as special,
    utils as utils,
    version as version,
)
from treadle.autograd.grad_mode import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from treadle.configuration import *
from treadle.constants import *
from treadle.device import (
    device as device,
    get_default_device as get_default_device,
    set_default_device as set_default_device,
)
from treadle.dtypes import *
from treadle.engine import (
    reset_statistics as reset_statistics,
    statistics as statistics,
    synchronize as synchronize,
)
from treadle.functions.complex_numbers import *
from treadle.functions.contraction import *
from treadle.functions.counting import *
from treadle.functions.covariance import *
from treadle.functions.creation import *
from treadle.functions.cumulative import *
from treadle.functions.data import *
from treadle.functions.diagonals import *
from treadle.functions.differences import *
from treadle.functions.extrema import *
from treadle.functions.facts import *
from treadle.functions.filling import *
from treadle.functions.gathering import *
from treadle.functions.index_assignment import *
from treadle.functions.index_slices import *
from treadle.functions.indexing import *
from treadle.functions.joining import *
from treadle.functions.layers import *
from treadle.functions.moments import *
from treadle.functions.movement import *
from treadle.functions.norms import *
from treadle.functions.pointwise import *
from treadle.functions.positions import *
from treadle.functions.quantiles import *
from treadle.functions.random import *
from treadle.functions.ranges import *
from treadle.functions.rearranging import *
from treadle.functions.reduction import *
from treadle.functions.sampling import *
from treadle.functions.searching import *
from treadle.functions.slicing import *
from treadle.functions.sorting import *
from treadle.functions.special import *
from treadle.functions.spectrogram import *
from treadle.functions.striding import *
from treadle.functions.vectors import *
from treadle.functions.view_copies import *
from treadle.functions.view_scatter import *
from treadle.functions.windows import *
from treadle.layouts import *
from treadle.linalg.lowrank import *
from treadle.linalg.names import *
from treadle.methods import subclasses, table
from treadle.methods.attributes import *
from treadle.methods.interchange import from_dlpack as from_dlpack
from treadle.methods.tensor_types import *
from treadle.printing import set_printoptions as set_printoptions
from treadle.random import (
    Generator as Generator,
    default_generator as default_generator,
    get_rng_state as get_rng_state,
    initial_seed as initial_seed,
    manual_seed as manual_seed,
    seed as seed,
    set_rng_state as set_rng_state,
)
from treadle.size import Size as Size
from treadle.storages import (
    TypedStorage as TypedStorage,
    UntypedStorage as UntypedStorage,
    is_storage as is_storage,
)
from treadle.tensor import Tensor as Tensor
from treadle.utils import dlpack as _dlpack  # noqa: F401  # is utils.dlpack
from treadle.version import __version__ as __version__

# Parts that many programs never touch: imported when they are first named.
_LAZY = ("distributions", "masked")


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return _importlib.import_module(f"treadle.{name}")
    raise AttributeError(f"module 'treadle' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})


table.install()
subclasses.install()
globals().update(table.in_place_functions())
