"""Treadle: PyTorch's API as an open compiler. ``import treadle as torch``.

This file only names what users import; every function lives in the module of its family.
"""

from treadle.ir.types import (
    DType as dtype,
)
from treadle.ir.types import (
    bool_ as bool,
)
from treadle.ir.types import (
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)

half, float, double = float16, float32, float64
short, int, long = int16, int32, int64

from treadle import methods  # noqa: E402
from treadle.autograd.grad_mode import (  # noqa: E402
    enable_grad,
    inference_mode,
    is_grad_enabled,
    no_grad,
    set_grad_enabled,
)
from treadle.device import device  # noqa: E402
from treadle.engine import reset_statistics, statistics  # noqa: E402
from treadle.functions.contraction import addmm, bmm, dot, matmul, mm, mv, outer  # noqa: E402
from treadle.functions.creation import (  # noqa: E402
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    ones,
    ones_like,
    tensor,
    zeros,
    zeros_like,
)
from treadle.functions.indexing import gather, index_select, scatter_add  # noqa: E402
from treadle.functions.movement import (  # noqa: E402
    as_strided,
    cat,
    chunk,
    flatten,
    flip,
    movedim,
    narrow,
    permute,
    reshape,
    select,
    split,
    squeeze,
    stack,
    t,
    transpose,
    unbind,
    unflatten,
    unsqueeze,
)
from treadle.functions.pointwise import (  # noqa: E402
    abs,
    add,
    addcdiv,
    addcmul,
    bitwise_and,
    bitwise_not,
    bitwise_or,
    bitwise_xor,
    ceil,
    clamp,
    clone,
    cos,
    div,
    eq,
    erf,
    exp,
    floor,
    ge,
    gt,
    isfinite,
    isinf,
    isnan,
    le,
    lerp,
    log,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    lt,
    masked_fill,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    pow,
    reciprocal,
    relu,
    remainder,
    round,
    rsqrt,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    sub,
    tanh,
    trunc,
    where,
)
from treadle.functions.random import (  # noqa: E402
    Generator,
    bernoulli,
    default_generator,
    initial_seed,
    manual_seed,
    normal,
    rand,
    rand_like,
    randint,
    randn,
    randn_like,
    randperm,
)
from treadle.functions.reduction import (  # noqa: E402
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    logsumexp,
    max,
    mean,
    min,
    norm,
    prod,
    std,
    sum,
    var,
)
from treadle.printing import set_printoptions  # noqa: E402
from treadle.promotion import (  # noqa: E402
    default_dtype as get_default_dtype,
)
from treadle.promotion import (  # noqa: E402
    promote_types,
    set_default_dtype,
)
from treadle.size import Size  # noqa: E402
from treadle.tensor import Tensor, evaluation_boundary  # noqa: E402

methods.install()

from treadle import autograd, nn, optim, utils  # noqa: E402

synchronize = evaluation_boundary
__version__ = "0.1.0"
