#!/usr/bin/env bash
# Versions: torch 2.13.0 (Python 3.11, Linux x86-64, CPU build).
# Behaviour: the first arithmetic on a tensor of the device "meta" (a product with 2 is enough)
#   imports torch._dynamo and sympy, more than five hundred modules; torch.empty and nn.Linear there do
#   not, nor does the same arithmetic on the CPU. It takes as long as a good part of `import torch`.
# One would guess: a tensor that has a shape and no storage is the cheapest there is; nobody compiles.
# Why it matters: to build a network on "meta" before reading weights is the usual way to check a
#   model file without allocating what a stranger's header asks for. A buffer that __init__ computes
#   (frequencies of an embedding, a normalised direction) then adds a second or more to every command
#   that opens a model. To create with torch.empty there, or on the CPU, avoids it.
# Source: https://github.com/pytorch/pytorch, torch/_compile.py (`_disable_dynamo` imports
#   torch._dynamo at the first call) around the reference implementations that meta tensors take.
# Output seen (seconds vary):
#   empty and a linear layer on meta: compiler loaded False
#   a product on the CPU: compiler loaded False
#   a product on meta: compiler loaded True, sympy loaded True, more than 500 modules True
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import sys
import time

import torch


def loaded(name="torch._dynamo"):
    return name in sys.modules


with torch.device("meta"):
    torch.empty(2, 3)
    torch.nn.Linear(2, 3)
made = loaded()
print("empty and a linear layer on meta: compiler loaded", made)
torch.empty(2, 3) * 2
computed = loaded()
print("a product on the CPU: compiler loaded", computed)
before, began = len(sys.modules), time.perf_counter()
torch.empty(2, 3, device="meta") * 2
seconds, added = time.perf_counter() - began, len(sys.modules) - before
print(
    f"a product on meta: compiler loaded {loaded()}, sympy loaded {loaded('sympy')}, "
    f"more than 500 modules {added > 500}"
)
print(f"({added} modules, {seconds:.1f} s)", file=sys.stderr)
expected = not made and not computed and loaded() and loaded("sympy") and added > 500
sys.exit(0 if expected else "this has changed")
PYTHON
