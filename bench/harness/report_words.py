# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers as text. Everything has three significant digits: the noise eats the fourth."""

NONE = "–"


def three(value):
    """Three significant digits without an exponent."""
    if value is None:
        return NONE
    size = abs(value)
    if size >= 100 or size == 0:
        return f"{value:.0f}"
    digits = 1 if size >= 10 else 2 if size >= 1 else 3 if size >= .1 else 4
    return f"{value:.{digits}f}"


def spread(least, most):
    """Nothing where there is only one value."""
    return "" if least == most else f"{three(least)}–{three(most)}"


def ratio(value):
    """Two decimals: a verdict may hang on the second."""
    return f"{value:.2f}" if 0.1 <= value < 10 else three(value)


def interval(low, high):
    return f"{ratio(low)}–{ratio(high)}"


def brief(value):
    """As few digits as it has: for round numbers."""
    return f"{value:.3g}"


def scaled(value, units, digits):
    """A value in the largest of the units (factor, name) of which it is at least one."""
    if value is None:
        return NONE
    factor, name = next((unit for unit in units if abs(value) >= unit[0]), units[-1])
    return f"{digits(value / factor)} {name}".rstrip()


def count(value, digits=three):
    return scaled(value, ((1e6, "M"), (1e3, "k"), (1, "")), digits)


def rate(value, work):
    if value is None:
        return NONE
    if work == "bytes":
        return scaled(value, ((1e9, "GB/s"), (1e6, "MB/s"), (1e3, "kB/s"), (1, "B/s")), three)
    return count(value) + "/s"


def micros(value, digits=three):
    return scaled(value, ((1e6, "s"), (1e3, "ms"), (1, "µs")), digits)


def memory(kib):
    return scaled(kib, ((1 << 20, "GiB"), (1 << 10, "MiB"), (1, "KiB")), three)


def size(count_bytes):
    return scaled(count_bytes, ((1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B")), brief)


def percent(share):
    return NONE if share is None else f"{100 * share:.0f} %"


def unit(name):
    """As it is printed: cells have plain letters, and x where there is no unit."""
    return {"us": "µs", "x": ""}.get(name, name)


def reasons(counter):
    """"refused (3), reset (1)": the commonest first."""
    return ", ".join(f"{why} ({number})" for why, number
                     in sorted(counter.items(), key=lambda item: (-item[1], item[0])))


def plural(number, one, many):
    return f"{number} {one if number == 1 else many}"
