"""cuDNN's published training attention against the catalogue's constants (benchmarks/cudnn_attention.py)."""

from __future__ import annotations

import cudnn_attention
import numpy as np
import pytest

# (median, p90) of |error| in 16 and 8 bits. Of short sequences the host's part of a call is left out of the constants;
# cuDNN's 8-bit backward on H200 slows down with the sequence where a causal mask is set; its MXFP8 forward on GB300
# takes longer for heads of 64 than of 128, which the model does not allow.
MOST, MOST_8_BIT = (0.06, 0.14), (0.07, 0.20)
MOST_OF = {
    ("h200-sxm-141gb", "cudnn_2026_fp8", True): (0.09, 0.39),
    ("gb300-288gb", "cudnn_2026_mxfp8", False): (0.07, 0.29),
}


def test_constants_meet_the_table() -> None:
    errors = cudnn_attention.errors()
    assert len(errors) == 28
    assert sum(map(len, errors.values())) > 600
    for key, error in errors.items():
        median, p90 = MOST_OF.get(key, MOST_8_BIT if key[1].endswith("fp8") else MOST)
        size = np.abs(error)
        assert np.median(size) < median, key
        assert np.quantile(size, 0.9) < p90, key
        assert abs(np.median(error)) < 0.03, key


def test_constants_are_those_of_the_fit() -> None:
    """To the digits that stand in the catalogue."""
    fitted = cudnn_attention.fitted("gb200-186gb", "cudnn_2026", backward=False)
    packaged = cudnn_attention.catalogue_device("gb200-186gb", "cudnn_2026").attention_forward
    for name in ("rate_d64", "rate_d128", "rate_d256", "rate_mla"):
        assert getattr(packaged, name) == pytest.approx(getattr(fitted, name), abs=6e-4)
    assert packaged.block_overhead == pytest.approx(fitted.block_overhead, abs=0.6)


def test_the_clock_that_attention_keeps() -> None:
    """Calls of 131,072 tokens over the best of up to 32,768: 8-bit kernels keep the burst clock, others most of it."""
    kept = cudnn_attention.kept_clock()
    assert {dtype for _, _, dtype, _ in kept} == {"bf16", "fp8"}
    for (device, version, dtype, op_pass), share in kept.items():
        lowest, highest = (0.99, 1.05) if dtype == "fp8" else (0.86, 1.0)
        assert lowest < share < highest, (device, version, dtype, op_pass)
    packaged = cudnn_attention.catalogue_device("gb200-186gb", "cudnn_2026").attention_forward
    assert packaged.sustained_share == pytest.approx(kept["gb200-186gb", "9.17.0", "bf16", "forward"], abs=0.006)
