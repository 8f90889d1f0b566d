"""Bytes per pair of devices as a matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["matrix_of_pairs"]

_MOST_DEVICES = 8192  # 512 MiB


def matrix_of_pairs(pair_bytes: npt.NDArray[np.float64], devices: int) -> npt.NDArray[np.float64]:
    """Matrix of devices x devices from rows of sender, receiver and bytes.

    Raises
    ------
    ConfigError
        Beyond 8,192 devices, where the matrix would take more than 512 MiB.
    """
    import numpy as np

    if devices > _MOST_DEVICES:
        raise ConfigError(f"num_devices: got {devices}, expected at most {_MOST_DEVICES} in a traffic matrix")
    matrix = np.zeros((devices, devices))
    matrix[pair_bytes[:, 0].astype(int), pair_bytes[:, 1].astype(int)] = pair_bytes[:, 2]
    return matrix
