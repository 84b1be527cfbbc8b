#!/usr/bin/env python3
"""Write tests/golden/tensors.safetensors with the safetensors package: what another writer makes.

Needs: pip install numpy safetensors.  Run from the repository root."""
import numpy as np
from safetensors.numpy import save_file

save_file(
    {
        "scalar": np.array(2.5, dtype=np.float32),
        "matrix": np.arange(6, dtype=np.float32).reshape(2, 3) / 4,
        "double": np.array([1e300, -1e-300, 0.1]),
        "half": np.array([0.5, -65504.0, 6e-8], dtype=np.float16),
        "ids": np.array([[1, 2], [-3, 2**40]], dtype=np.int64),
        "small": np.array([-128, 127], dtype=np.int8),
        "bytes": np.array([0, 255, 7], dtype=np.uint8),
        "empty": np.zeros((0, 4), dtype=np.float32),
        "größe": np.array([7], dtype=np.int32),
    },
    "tests/golden/tensors.safetensors",
    metadata={"made by": "python", "größe": "ü"},
)
