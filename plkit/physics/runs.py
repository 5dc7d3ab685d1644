"""The runs test: are the signs of residuals in order as mixed as chance makes them?"""

from __future__ import annotations

from math import comb

import numpy as np
from numpy.typing import ArrayLike

__all__ = ["runs_test"]


def runs_test(residuals: ArrayLike) -> float:
    """Probability of so few runs of equal sign, were the residuals independent.

    Parameters
    ----------
    residuals : array_like, shape (n,)
        Residuals in the order of their position; zeros and NaN are left out.

    Returns
    -------
    float
        Lower tail of the exact distribution of the number of runs; 1 where all signs are equal or
        fewer than two residuals are left, since nothing can be said then.

    Notes
    -----
    Given n1 positive and n2 negative residuals, 2 k runs have the probability
    2 C(n1−1, k−1) C(n2−1, k−1)/C(n, n1), and 2 k + 1 runs
    [C(n1−1, k) C(n2−1, k−1) + C(n1−1, k−1) C(n2−1, k)]/C(n, n1).

    References
    ----------
    .. [1] A. Wald, J. Wolfowitz, Ann. Math. Stat. 11, 147 (1940), doi:10.1214/aoms/1177731909.

    Examples
    --------
    >>> round(runs_test([1, 1, 1, -1, -1, -1]), 6)  # two of the 20 orders have two runs
    0.1
    """
    values = np.asarray(residuals, dtype=float)
    positive = values[np.isfinite(values) & (values != 0.0)] > 0.0
    n1 = int(positive.sum())
    n2 = positive.size - n1
    if n1 == 0 or n2 == 0:
        return 1.0
    runs = 1 + int(np.count_nonzero(positive[1:] != positive[:-1]))
    ways = 0
    for r in range(2, runs + 1):
        k = r // 2
        if r % 2 == 0:
            ways += 2 * comb(n1 - 1, k - 1) * comb(n2 - 1, k - 1)
        else:
            ways += comb(n1 - 1, k) * comb(n2 - 1, k - 1) + comb(n1 - 1, k - 1) * comb(n2 - 1, k)
    return ways / comb(n1 + n2, n1)
