"""The threads of the algebra's library: on a busy machine they wait for each other."""
from __future__ import annotations

import os
import subprocess
import sys

import pytest

_TOLD = "import flow_inpaint, os; print(os.environ['OPENBLAS_NUM_THREADS'])"


@pytest.mark.parametrize(("given", "wanted"), [(None, "1"), ("3", "3")])
def test_there_is_one_unless_the_user_says_otherwise(given: str | None, wanted: str) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "OPENBLAS_NUM_THREADS"}
    environment |= {} if given is None else {"OPENBLAS_NUM_THREADS": given}
    told = subprocess.run([sys.executable, "-c", _TOLD], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == wanted
