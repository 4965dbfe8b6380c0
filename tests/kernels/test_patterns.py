"""Step patterns, windows and feasibility, against brute force."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from seqebm.kernels.warp import reference
from seqebm.kernels.warp.patterns import (
    PATTERNS,
    StepPattern,
    Window,
    get_pattern,
    is_feasible,
    minimum_frames,
    row_limits,
)

windows = st.builds(
    Window,
    band=st.none() | st.sampled_from([0.0, 0.4, 0.5, 1.0, 1.5, 3.0]),
    slope=st.none() | st.sampled_from([1.0, 1.5, 2.0, 4.0]),
)


def test_import_needs_neither_torch_nor_numba():
    code = (
        "import sys, seqebm.kernels.warp.patterns; "
        "sys.exit(any(m in sys.modules for m in ('torch', 'numba', 'numpy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_get_pattern_names_the_nearest():
    with pytest.raises(ValueError, match=r"symmetric1.*bakis.*Did you mean 'asymmetric'"):
        get_pattern("assymetric")
    assert get_pattern(PATTERNS["linear"]) is PATTERNS["linear"]


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        ((), "has no steps"),
        (((0, 0, 1.0, 0.0),), "must advance"),
        (((-1, 1, 1.0, 0.0),), "whole numbers"),
        (((1, 0.5, 1.0, 0.0),), "whole numbers"),
        (((1, 1, 0.0, 0.0),), "weight must be positive"),
        (((1, 1, 1.0, float("inf")),), "penalty must be finite"),
        (((1, 1, 1.0),), "a step is"),
    ],
)
def test_malformed_steps_are_refused(steps, message):
    with pytest.raises(ValueError, match=message):
        StepPattern("mine", steps)


def test_unknown_normalisation_is_refused():
    with pytest.raises(ValueError, match="none, input, template, both"):
        StepPattern("mine", ((1, 1, 1.0, 0.0),), "path")


@pytest.mark.parametrize(("name", "expected"), [
    ("symmetric1", 1), ("symmetric2", 12), ("asymmetric", 7), ("bakis", 7), ("linear", 7),
])  # fmt: skip
def test_normaliser(name, expected):
    pattern = get_pattern(name)
    assert pattern.normaliser(7, 5) == expected
    pairs = pattern.normaliser(torch.tensor([[7], [7]]), torch.tensor([[5, 5, 5]]))
    assert pairs.tolist() == [[expected] * 3] * 2


def test_normaliser_by_template():
    pattern = StepPattern("mine", ((1, 1, 1.0, 0.0),), "template")
    assert pattern.normaliser(7, 5) == 5


@pytest.mark.parametrize("window", [{"band": -1.0}, {"band": float("nan")}, {"slope": 0.5}])
def test_windows_out_of_range_are_refused(window):
    with pytest.raises(ValueError, match="it must be"):
        Window(**window)


@given(T=st.integers(1, 30), L=st.integers(1, 30), window=windows)
def test_window_holds_both_ends_and_is_symmetric(T, L, window):
    limits = [window.lo_hi(i, T, L) for i in range(T)]
    assert limits[0][0] == 0
    assert limits[-1][1] == L - 1
    for lo, hi in limits:
        assert lo >= 0 and hi <= L - 1
    # Reading both sequences backwards gives the same window.
    assert limits == [(L - 1 - hi, L - 1 - lo) for lo, hi in reversed(limits)]
    if T == 1 or L == 1:
        assert limits == [(0, L - 1)] * T


def test_band_and_slope_by_hand():
    assert [Window(band=1).lo_hi(i, 5, 5) for i in range(5)] == [
        (0, 1), (0, 2), (1, 3), (2, 4), (3, 4),
    ]  # fmt: skip
    assert [Window(slope=2).lo_hi(i, 5, 5) for i in range(5)] == [
        (0, 0), (0, 2), (1, 3), (2, 4), (4, 4),
    ]  # fmt: skip
    assert [Window(slope=1).lo_hi(i, 4, 4) for i in range(4)] == [(i, i) for i in range(4)]
    assert row_limits(2, 5, 9, float("inf"), float("inf")) == (0, 8)


@settings(deadline=None)
@given(
    T=st.integers(1, 5), L=st.integers(1, 5), name=st.sampled_from(sorted(PATTERNS)),
    window=windows,
)  # fmt: skip
def test_feasibility_is_whether_a_path_exists(T, L, name, window):
    pattern = get_pattern(name)
    any_path = next(reference.enumerate_paths(np.zeros((T, L)), pattern, window), None)
    assert is_feasible(T, L, name, window) == (any_path is not None)


def test_minimum_frames():
    assert [minimum_frames(L, "asymmetric") for L in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 3]
    assert [minimum_frames(L, "linear") for L in (1, 2, 7)] == [1, 2, 7]
    assert minimum_frames(50, "symmetric1") == 1
    assert minimum_frames(5, "linear", Window(band=0)) == 5
    slow = StepPattern("slow", ((2, 1, 1.0, 0.0),))
    assert minimum_frames(4, slow) == 7
    assert not is_feasible(6, 4, slow)
    assert not is_feasible(0, 4, "linear")


def test_minimum_frames_of_the_impossible():
    stuck = StepPattern("stuck", ((1, 2, 1.0, 0.0),))
    with pytest.raises(ValueError, match=r"'stuck'.* 4 frames"):
        minimum_frames(4, stuck)
    with pytest.raises(ValueError, match="at least 1 frame"):
        minimum_frames(0, "linear")
