"""Special functions by family, as series and rational approximations of IR values.

``treadle.special`` and the few that PyTorch has at the top level are made of these.
"""

from __future__ import annotations

from treadle.functions.special.airy import *
from treadle.functions.special.bessel import *
from treadle.functions.special.gamma import *
from treadle.functions.special.gamma import polygamma_ as polygamma_
from treadle.functions.special.incomplete_gamma import *
from treadle.functions.special.logarithmic import *
from treadle.functions.special.modified_bessel import *
from treadle.functions.special.normal import *
from treadle.functions.special.orthogonal import *

# Of these, the top level of the package has
__all__ = ["i0", "igamma", "igammac", "logit", "mvlgamma", "polygamma", "xlogy"]  # noqa: F405
METHODS = "i0 igamma igammac logit mvlgamma polygamma polygamma_ xlogy"
INPLACE = "i0 igamma igammac logit mvlgamma xlogy"
