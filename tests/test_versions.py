"""What is printed for who reports a fault."""

import platform

import numpy as np
import pytest
import torch

import sfumato


def test_versions_are_those_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    sfumato.show_versions()
    lines = capsys.readouterr().out.splitlines()
    shown = {line.split()[0]: line.split(maxsplit=1)[1] for line in lines}
    assert shown["python"] == platform.python_version()
    assert shown["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert shown["numpy"] == np.__version__
    assert shown["threads"] == str(torch.get_num_threads())
    assert {"pandas", "pyarrow", "onnx"} < shown.keys()  # of extras
    assert not {"pytest", "mypy", "xgboost-cpu"} & shown.keys()  # of who builds it
