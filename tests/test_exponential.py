"""exp(x) and exp(x) - 1 on every float32 that is not positive: within 2 ulp of the real result.

One loop over the 2^31 bit patterns with the sign bit, in chunks. If the exact answer is known
without computing it, it is the reference: see `REGIONS`; else float64 is.
"""

import numpy as np
import pytest

from fastsnn.kernels.cpu.activation import exponential, exponential_minus_one

CHUNK = 1 << 18
FUNCTIONS = {"exp": (exponential, np.exp), "expm1": (exponential_minus_one, np.expm1)}
SIGN = 0x80000000
INFINITY = 0xFF800000  # the bits of -inf; above: NaN


def bits(x):
    return int(np.float32(x).view(np.uint32))


def ulp(expected):
    """Return the spacing of float32 at these float64 numbers: 2^-149 for all denormals and for
    0.

    2^(e - 23) for 2^e <= |expected| < 2^(e + 1), by clearing the mantissa of the float64.
    """
    power = (expected.view(np.uint64) & np.uint64(0x7FF0000000000000)).view(np.float64)
    return np.maximum(power * 2.0**-23, 2.0**-149)


def chunks(first, last):
    """Return all float32 from bit pattern `first` up to but not including `last`; x is reused."""
    offsets = np.arange(CHUNK, dtype=np.uint32)
    pattern = np.empty(CHUNK, np.uint32)
    for start in range(first, last, CHUNK):
        n = min(CHUNK, last - start)
        np.add(offsets[:n], np.uint32(start), out=pattern[:n])
        yield pattern[:n].view(np.float32)


TINY = bits(-(2.0**-25))  # smaller magnitudes, and this one, are "near 0"
LOW = bits(-104.0)  # this and everything below is "far below"
REGIONS = {
    # |x| <= 2^-25: 1 + x is in [1 - 2^-25, 1], whose nearest float32 is 1 (at the end a tie, and 1
    # is the even one); x itself is within x^2 / 2 of exp(x) - 1, a 2^-26th part, a quarter of an
    # ulp, so that the next float32 on either side is within 2 ulp, also across a power of two.
    "near 0": (SIGN, TINY + 1),
    # exp(-104) < 2^-150 rounds to 0, and exp(x) - 1 rounds to -1.
    "far below": (LOW, INFINITY + 1),
    "between": (TINY + 1, LOW),
}


@pytest.fixture(scope="module", autouse=True)
def regions_are_all_of_it():
    ends = sorted(REGIONS.values())
    assert ends[0][0] == SIGN and ends[-1][1] == INFINITY + 1
    assert all(a[1] == b[0] for a, b in zip(ends[:-1], ends[1:], strict=True))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_between(name):
    function, exact = FUNCTIONS[name]
    out = np.empty(CHUNK, np.float32)
    worst, where = 0.0, None
    for x in chunks(*REGIONS["between"]):
        y = out[: x.size]
        y.fill(np.nan)
        function(y, x)
        expected = exact(x.astype(np.float64))
        error = np.abs(y - expected)
        error /= ulp(expected)
        i = error.argmax()  # a NaN counts as the largest
        if not error[i] <= worst:
            worst, where = error[i], float(x[i])
    assert worst <= 2, f"{worst} ulp at x = {where!r}"
    assert worst > 0.4  # a table of exact answers would have 0.5; less: nothing was compared


@pytest.mark.parametrize("name", FUNCTIONS)
def test_near_0(name):
    function, _ = FUNCTIONS[name]
    out = np.empty(CHUNK, np.float32)
    for x in chunks(*REGIONS["near 0"]):
        y = out[: x.size]
        y.fill(np.nan)
        function(y, x)
        if name == "exp":
            right = (y == 1).all()
        else:
            magnitude = y.view(np.int32) & 0x7FFFFFFF  # as integers, neighbours differ by 1
            distance = magnitude - (x.view(np.int32) & 0x7FFFFFFF)
            right = distance.min() >= -1 and distance.max() <= 1 and (y <= 0).all()
        assert right, f"between {x[0]!r} and {x[-1]!r}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_far_below(name):
    """The range includes -inf, its last number."""
    function, _ = FUNCTIONS[name]
    limit = 0 if name == "exp" else -1
    out = np.empty(CHUNK, np.float32)
    for x in chunks(*REGIONS["far below"]):
        y = out[: x.size]
        y.fill(np.nan)
        function(y, x)
        assert (y == limit).all(), f"between {x[0]!r} and {x[-1]!r}"
    assert x[-1] == -np.inf


@pytest.mark.parametrize("name", FUNCTIONS)
def test_nan_stays_nan(name):
    """Every NaN with the sign bit, and some without."""
    function, _ = FUNCTIONS[name]
    out = np.empty(CHUNK, np.float32)
    for first, last in ((INFINITY + 1, 1 << 32), (0x7F800001, 0x7F800001 + CHUNK)):
        for x in chunks(first, last):
            y = out[: x.size]
            y.fill(0)
            function(y, x)
            assert np.isnan(y).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_zero(name):
    function, _ = FUNCTIONS[name]
    out = np.full(2, np.nan, np.float32)
    function(out, np.float32([0.0, -0.0]))
    assert (out == (1 if name == "exp" else 0)).all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_any_length(name):
    """A NaN on either side must survive, and elements must not depend on their position."""
    function, _ = FUNCTIONS[name]
    x = -np.random.default_rng(2).exponential(8, 100).astype(np.float32)
    whole = np.empty(100, np.float32)
    function(whole, x)
    for n in range(70):
        for start in (0, 1, 3):
            out = np.full(n + 2, np.nan, np.float32)
            function(out[1 : n + 1], x[start : start + n])
            assert np.isnan(out[0]) and np.isnan(out[-1])
            assert np.array_equal(out[1:-1], whole[start : start + n])


def test_ulp():
    """Check the measure itself, at normal numbers, at powers of two, and among denormals."""
    cases = {
        1.0: 2.0**-23,
        1 - 2.0**-30: 2.0**-24,
        -0.75: 2.0**-24,
        2.0**-126: 2.0**-149,
        2.0**-127: 2.0**-149,
        3e-45: 2.0**-149,
        1e-60: 2.0**-149,
        0.0: 2.0**-149,
    }
    assert ulp(np.array(list(cases))).tolist() == list(cases.values())
