"""Shares of people with how sure they are: Wilson's interval, and Newcombe's for the difference of two. Pure."""

from dataclasses import dataclass
from math import sqrt


@dataclass(frozen=True, slots=True)
class Rate:
    """So many of so many, in per cent, and between what it lies. Of nobody, everything is possible."""

    good: int
    of: int
    percent: float
    low: float
    high: float

    @property
    def told(self) -> str:
        """`8.3 % (4.1 to 16.2)`, or that there is nobody."""
        return f"{self.percent:.1f} % ({self.low:.1f} to {self.high:.1f})" if self.of else "nobody yet"


@dataclass(frozen=True, slots=True)
class Difference:
    """First minus second, in percentage points, and between what it lies."""

    points: float
    low: float
    high: float

    @property
    def shown(self) -> bool:
        """Whether it can't well be chance."""
        return self.low > 0 or self.high < 0


def interval(good: int, total: int, z: float) -> tuple[float, float]:
    """Wilson's interval of a share, 0 to 1; everything is possible where there is nobody."""
    if not total:
        return 0.0, 1.0
    share, weight = good / total, 1 + z * z / total
    middle = share + z * z / (2 * total)
    spread = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, (middle - spread) / weight), min(1.0, (middle + spread) / weight)


def rate(good: int, of: int, z: float) -> Rate:
    """A share with its interval. `good` counts people of `of`, so it is never more."""
    good = min(good, of)
    low, high = interval(good, of, z)
    share = good / of if of else 0.0
    return Rate(good, of, round(100 * share, 2), round(100 * low, 2), round(100 * high, 2))


def difference(first: Rate, second: Rate, z: float) -> Difference:
    """Newcombe's interval (his method 10): each side's own interval, combined. Nothing is known of nobody."""
    if not (first.of and second.of):
        return Difference(0.0, -100.0, 100.0)
    (low_1, high_1), (low_2, high_2) = (interval(one.good, one.of, z) for one in (first, second))
    p, q = first.good / first.of, second.good / second.of
    low = p - q - sqrt((p - low_1) ** 2 + (high_2 - q) ** 2)
    high = p - q + sqrt((high_1 - p) ** 2 + (q - low_2) ** 2)
    return Difference(round(100 * (p - q), 2), round(100 * low, 2), round(100 * high, 2))
