"""An engine as an installation leaves it."""
from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from setup_kit import engine_wheel, place


@pytest.fixture
def carried(tmp_path: Path) -> place.Wheel:
    return engine_wheel(tmp_path / "carried")


@pytest.fixture
def there(tmp_path: Path, carried: place.Wheel) -> place.Place:
    """An environment as an installation leaves it, as far as looking goes."""
    made = place.Place(tmp_path / "root")
    environment = made.root / "e1"
    python = place.python_of(environment)
    python.parent.mkdir(parents=True)
    python.touch()
    packages = environment / ("Lib" if os.name == "nt" else "lib/python3.11") / "site-packages" / "flow_inpaint"
    packages.mkdir(parents=True)
    (packages / "__main__.py").touch()
    (environment / "pyvenv.cfg").write_text(f"home = {tmp_path}\nversion = 3.11.7\n")
    made.commit(place.Stamp("e1", sys.executable, "3.11.7", carried.version, carried.sha256, "none"))
    return made
