"""``torch.signal``: window functions."""

from treadle.signal import windows as windows
