# SPDX-License-Identifier: GPL-3.0-or-later
"""The few statistics of the benchmarks: medians, and intervals that assume nothing about noise."""

import math
import statistics


def median(values):
    return statistics.median(values)


def sign_interval(values, confidence=0.95):
    """(low, high, coverage) for the median, by the sign test: two order statistics.

    With fewer than six values no pair of them reaches 95 %; then it is the whole range, and the
    coverage says how little that is worth.
    """
    ordered = sorted(values)
    n = len(ordered)
    tail = 0.0
    k = 0
    while True:
        more = tail + math.comb(n, k) / 2 ** n
        if k + 1 > n // 2 or 2 * more > 1 - confidence:
            break
        tail = more
        k += 1
    if k == 0:
        return ordered[0], ordered[-1], 1 - 2 / 2 ** n
    return ordered[k - 1], ordered[n - k], 1 - 2 * tail


def paired_ratios(above, below):
    """Ratios of the rounds in which both were measured; both are {round: value}."""
    return [above[r] / below[r] for r in sorted(above) if below.get(r, 0) > 0]
