"""What Blender itself says of files, and what their beginnings are taken to say."""
from __future__ import annotations

from typing import Any

import scripts_stage as stage
import strips


def case(name: str) -> Any:
    def compared() -> dict[str, Any]:
        of = stage.scene()
        path = str(stage.CLIPS / name)
        image = name.rpartition(".")[2] in ("png", "jpg")
        made = stage.strips(of).new_image("one", path, 1, 1) if image else stage.strips(of).new_movie("one", path, 1, 1)
        known, opened = strips.files._known(made), strips.files._opened(made, stage.CLIPS / name)
        told = None if known is None else {"size": known.size, "alpha": known.alpha, "deep": known.deep}
        return {"known": told, "size": opened.size, "alpha": opened.alpha, "deep": opened.deep}

    return compared


stage.answer({path.name: case(path.name) for path in sorted(stage.CLIPS.iterdir())})
