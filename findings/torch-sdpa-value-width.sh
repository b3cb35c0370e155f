#!/usr/bin/env bash
# Versions: torch 2.13.0 (Python 3.11, Linux x86-64, CPU build).
# Behaviour: scaled_dot_product_attention takes values with fewer (or more) elements than keys, as its
#   documentation allows (E and Ev). On the CPU it then silently leaves the fused kernel for one that holds
#   the whole matrix of weights: memory grows with queries times keys, and it takes several times as long.
# One would guess: narrower values are less work and less memory than values that are padded to the keys'
#   width; and that a kernel which cannot take them says so, as it does when it alone is asked for.
# Why it matters: attention over a set of data points is the exact denoiser of that set, and its keys
#   carry a number more than its values do (|x|²). Values with a column that is thrown away afterwards
#   need a hundredth of the memory.
# Source: https://github.com/pytorch/pytorch, aten/src/ATen/native/transformers/sdp_utils_cpp.cpp
#   ("requires q,k,v to have the same last dimension").
# Output seen (megabytes vary a little):
#   values as wide as keys: fused kernel True, holds the weights False
#   values one element narrower: fused kernel False, holds the weights True
#   the same answer to 1e-5: True
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import resource
import sys
import warnings

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention as attention

warnings.simplefilter("ignore")
torch.set_num_threads(1)
queries, keys = torch.randn(1, 1, 4096, 8), torch.randn(1, 1, 16384, 8)
WEIGHTS = 4096 * 16384 * 4 / 2**20  # MiB


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def looked_at(values):
    try:
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            attention(queries, keys, values)
        fused = True
    except RuntimeError:
        fused = False
    before = peak()
    answer = attention(queries, keys, values)
    print(f"({peak() - before:.0f} MiB)", file=sys.stderr)
    return answer, fused, peak() - before > WEIGHTS / 2


wide, *first = looked_at(keys)
print(f"values as wide as keys: fused kernel {first[0]}, holds the weights {first[1]}")
narrow, *second = looked_at(keys[..., :7].contiguous())
print(f"values one element narrower: fused kernel {second[0]}, holds the weights {second[1]}")
same = torch.allclose(wide[..., :7], narrow, atol=1e-5)
print(f"the same answer to 1e-5: {same}")
sys.exit(not (first == [True, False] and second == [False, True] and same))
PYTHON
