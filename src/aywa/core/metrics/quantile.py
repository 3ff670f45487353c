"""A quantile out of a histogram's buckets, as Prometheus' histogram_quantile has it: even spread within each bucket."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf, isinf


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """buckets: upper bound -> how many values were at most so large; the last bound is infinite. None of nothing. What lies past
    the last finite bound counts as that."""
    bounds = sorted(buckets)
    total = buckets.get(inf, 0.0)
    if not total:
        return None
    wanted, low, below = share * total, 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= wanted and count > below:
            return low if isinf(bound) else low + (bound - low) * (wanted - below) / (count - below)
        low, below = (low if isinf(bound) else bound), count
    return low
