"""What is kept of a table, and when it is not found again."""
from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from flow_inpaint.errors import Failed
from flow_inpaint.evaluation import rows as module
from flow_inpaint.evaluation.rows import Rows

KEY = {"footage": "abc", "setting": "square", "size": [240, 432], "method": {"weights": ["x"]}}
PICTURE = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)


def test_what_is_kept_is_found_by_another(tmp_path):
    Rows(tmp_path / "rows").keep(KEY, {"epe": 1.25, "hard": None}, PICTURE)
    found = Rows(tmp_path / "rows")
    assert found.find(dict(reversed(KEY.items()))) == {"epe": 1.25, "hard": None}
    assert np.array_equal(found.picture(KEY), PICTURE)


@pytest.mark.parametrize("change", [{"footage": "abd"}, {"setting": "object"}, {"size": None}, {"method": {"weights": ["y"]}}, {"more": 1}])
def test_any_other_setting_finds_nothing(tmp_path, change):
    rows = Rows(tmp_path)
    rows.keep(KEY, {"epe": 1.0}, PICTURE)
    assert rows.find(KEY | change) is None and rows.picture(KEY | change) is None


def test_other_code_finds_nothing(tmp_path, monkeypatch):
    Rows(tmp_path).keep(KEY, {"epe": 1.0}, PICTURE)
    package = Path(shutil.copytree(Path(module.__file__).parents[1], tmp_path / "package", ignore=shutil.ignore_patterns("*.m*")))
    monkeypatch.setattr(module, "__file__", str(package / "evaluation" / "rows.py"))
    module.engine.cache_clear()
    assert Rows(tmp_path).find(KEY) is not None
    with (package / "poisson.py").open("a") as file:
        file.write("# changed")
    module.engine.cache_clear()
    assert Rows(tmp_path).find(KEY) is None
    module.engine.cache_clear()


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"key": {}}', '{"figures": {}}'])
def test_damaged_figures_are_measured_again(tmp_path, damage):
    rows = Rows(tmp_path)
    rows.keep(KEY, {"epe": 1.0}, PICTURE)
    (file,) = tmp_path.glob("*.json")
    file.write_text(damage)
    assert rows.find(KEY) is None


def test_figures_of_another_key_in_its_place_are_not_taken(tmp_path):
    rows = Rows(tmp_path)
    rows.keep(KEY, {"epe": 1.0}, PICTURE)
    (file,) = tmp_path.glob("*.json")
    held = json.loads(file.read_text())
    held["key"]["setting"] = "object"
    file.write_text(json.dumps(held))
    assert rows.find(KEY) is None


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match=r"file/rows cannot be made .*: choose another --out"):
        Rows(tmp_path / "file" / "rows")
