"""``torch.masked``: reductions and normalisations in which masked-out elements do not count.

A mask is True where an element counts, and expands to the input's shape. ``MaskedTensor``, a
prototype of PyTorch, is not part of it.
"""

from treadle.masked.normalizations import (
    cumprod as cumprod,
    cumsum as cumsum,
    log_softmax as log_softmax,
    normalize as normalize,
    softmax as softmax,
    softmin as softmin,
)
from treadle.masked.reductions import (
    amax as amax,
    amin as amin,
    argmax as argmax,
    argmin as argmin,
    logaddexp as logaddexp,
    logsumexp as logsumexp,
    mean as mean,
    median as median,
    norm as norm,
    prod as prod,
    std as std,
    sum as sum,
    var as var,
)
