#!/usr/bin/env bash
# Versions: onnxruntime 1.32.0, onnx 1.23.2, numpy 2.4.6 (Python 3.11, Linux x86-64, CPU).
# Behaviour: a model with Where whose two branches are booleans passes onnx's full check and is computed by
#   onnx's reference evaluator, but onnxruntime refuses to load it: NOT_IMPLEMENTED for Where(16). The
#   same model with branches of int64, float or double loads. The error names the node, not the type.
# One would guess: the standard lists bool among the types of Where since version 9, and And, Or and Not
#   of booleans are computed, so that choosing between two masks is too.
# Why it matters: torch.where(condition, mask, mask) exports without a word, so that a network that keeps
#   masks of missing values is found to be unusable only when somebody loads the file. It can be written
#   with NaN in floats, or as (condition and a) or (not condition and b).
# Source: https://github.com/microsoft/onnxruntime/blob/main/docs/OperatorKernels.md (Where of the CPU: no
#   bool), https://onnx.ai/onnx/operators/onnx__Where.html (T: bool among others).
# Output seen:
#   bool: onnx computes [True, False]; onnxruntime: NOT_IMPLEMENTED
#   bool, by And, Or and Not: onnx computes [True, False]; onnxruntime: [True, False]
#   int64: onnx computes [1, 4]; onnxruntime: [1, 4]
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6

"$folder/venv/bin/python" - <<'PYTHON'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

WHERE = [helper.make_node("Where", ["c", "a", "b"], ["out"])]
BY_LOGIC = [
    helper.make_node("And", ["c", "a"], ["left"]),
    helper.make_node("Not", ["c"], ["other"]),
    helper.make_node("And", ["other", "b"], ["right"]),
    helper.make_node("Or", ["left", "right"], ["out"]),
]


def asked(nodes, kind, a, b):
    inputs = [helper.make_tensor_value_info(n, k, [2])
              for n, k in (("c", TensorProto.BOOL), ("a", kind), ("b", kind))]
    graph = helper.make_graph(nodes, "g", inputs, [helper.make_tensor_value_info("out", kind, [2])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    given = {"c": np.array([True, False]), "a": np.array(a), "b": np.array(b)}
    (right,) = ReferenceEvaluator(model).run(None, given)
    try:
        (own,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, given)
        return right.tolist(), own.tolist()
    except Exception as error:
        return right.tolist(), "NOT_IMPLEMENTED" if "NOT_IMPLEMENTED" in str(error) else repr(error)


bools = TensorProto.BOOL, [True, True], [False, False]
found = {
    "bool": asked(WHERE, *bools),
    "bool, by And, Or and Not": asked(BY_LOGIC, *bools),
    "int64": asked(WHERE, TensorProto.INT64, [1, 2], [3, 4]),
}
for name, (right, own) in found.items():
    print(f"{name}: onnx computes {right}; onnxruntime: {own}")
expected = [([True, False], "NOT_IMPLEMENTED"), ([True, False], [True, False]), ([1, 4], [1, 4])]
sys.exit(list(found.values()) != expected)
PYTHON
