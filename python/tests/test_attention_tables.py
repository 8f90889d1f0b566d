"""cuDNN's published training attention against the catalogue's constants (benchmarks/cudnn_attention.py)."""

from __future__ import annotations

import cudnn_attention
import numpy as np
import pytest

# (median, p90) of |error|. cuDNN's 8-bit backward on H200 slows down with the sequence where a causal mask is set.
MOST = (0.06, 0.12)
MOST_OF = {
    ("h200-sxm-141gb", "cudnn_2026_fp8", True): (0.09, 0.36),
    ("gb300-288gb", "cudnn_2026_fp8", True): (0.06, 0.17),
}


def test_constants_meet_the_table() -> None:
    errors = cudnn_attention.errors()
    assert len(errors) == 16
    assert sum(map(len, errors.values())) > 600
    for key, error in errors.items():
        median, p90 = MOST_OF.get(key, MOST)
        size = np.abs(error)
        assert np.median(size) < median, key
        assert np.quantile(size, 0.9) < p90, key
        assert abs(np.median(error)) < 0.03, key


def test_constants_are_those_of_the_fit() -> None:
    """To the digits that stand in the catalogue."""
    fitted = cudnn_attention.fitted("gb200-186gb", "bf16", backward=False)
    packaged = cudnn_attention.catalogue_device("gb200-186gb", "cudnn_2026").attention_forward
    for name in ("rate_d64", "rate_d128", "rate_d256", "rate_mla"):
        assert getattr(packaged, name) == pytest.approx(getattr(fitted, name), abs=6e-4)
    assert packaged.block_overhead == pytest.approx(fitted.block_overhead, abs=0.6)
