"""``torch.distributions``: probability distributions to sample from and to score values with.

Parameters and values are checked as in PyTorch, which computes them: pass ``validate_args=False``
where a whole training step should stay one program.
"""

from treadle.distributions import constraints, kl, transforms
from treadle.distributions.categories import (
    Categorical,
    Multinomial,
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from treadle.distributions.discrete import Bernoulli, Binomial, Geometric, Poisson
from treadle.distributions.distribution import Distribution
from treadle.distributions.exponential import Exponential
from treadle.distributions.independent import Independent
from treadle.distributions.kl import kl_divergence, register_kl
from treadle.distributions.location_scale import (
    Cauchy,
    Gumbel,
    HalfCauchy,
    HalfNormal,
    Laplace,
    Normal,
    Uniform,
)
from treadle.distributions.multivariate_normal import MultivariateNormal
from treadle.distributions.transformed import LogNormal, TransformedDistribution
from treadle.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    PowerTransform,
    SigmoidTransform,
    SoftplusTransform,
    TanhTransform,
    Transform,
    identity_transform,
)

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "Bernoulli",
    "Binomial",
    "Categorical",
    "Cauchy",
    "ComposeTransform",
    "Distribution",
    "ExpTransform",
    "Exponential",
    "Geometric",
    "Gumbel",
    "HalfCauchy",
    "HalfNormal",
    "Independent",
    "Laplace",
    "LogNormal",
    "Multinomial",
    "MultivariateNormal",
    "Normal",
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "Poisson",
    "PowerTransform",
    "SigmoidTransform",
    "SoftplusTransform",
    "TanhTransform",
    "Transform",
    "TransformedDistribution",
    "Uniform",
    "constraints",
    "identity_transform",
    "kl",
    "kl_divergence",
    "register_kl",
    "transforms",
]
