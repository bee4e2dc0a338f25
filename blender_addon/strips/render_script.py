"""What the second Blender runs: renders the strips that a list of orders names, and says how far it is.

    blender -b --factory-startup SCENE.blend --python render_script.py -- ORDERS.json

It ends with its standard input, so that no Blender outlives the one that started it.
"""
from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

MARK = "flow-inpaint-render: "


def main(orders: Path) -> int:
    threading.Thread(target=_end_with_input, daemon=True).start()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    import strips

    before = 0
    try:
        for order in json.loads(orders.read_text("utf-8")):
            task = strips.Render(**_typed(order, strips))
            for done, _ in task.run_steps():
                _say({"label": task.label, "done": before + done})
            before += task.frames
    except strips.StripError as error:
        _say({"error": str(error)})
        return 1
    return 0


def _typed(order: dict[str, Any], strips: Any) -> dict[str, Any]:
    return order | {"how": strips.How(order["how"]), "size": tuple(order["size"]), "folder": Path(order["folder"])}


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(1)


def _say(what: dict[str, Any]) -> None:
    print(MARK + json.dumps(what), flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[sys.argv.index("--") + 1])))
