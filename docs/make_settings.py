"""Writes docs/settings.md: every setting, from the descriptor that the panel and the command line are built from.

    python docs/make_settings.py            writes it
    python docs/make_settings.py --check    says whether it is up to date (exit code 1 when not)
"""
from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
DESCRIPTOR = HERE.parent / "engine" / "flow_inpaint" / "effect.toml"
TARGET = HERE / "settings.md"
PICTURES = HERE / "settings" / "pictures.toml"


def text(about: dict[str, Any], pictures: dict[str, Any]) -> str:
    """`pictures`: what `make_setting_pictures.py` has made, by the names of the settings."""
    lines = [
        "# Every setting",
        "",
        "Made by `docs/make_settings.py` from `effect.toml`; do not edit. On the command line each is an option; in Python",
        "the same name with underscores. A setting that nobody has changed takes the preset's value. The pictures show the demo shot",
        "made small. What has none is about the machine, or about networks, whose weights do not come with Flow Inpaint.",
    ]
    for group in about["groups"]:
        lines += ["", f"## {group['label']}"]
        for one in about["parameters"]:
            if one["group"] == group["name"]:
                lines += _setting(one, about["presets"]) + _picture(one, pictures)
    lines += ["", "## Presets", "", "| preset | what for | changes |", "|---|---|---|"]
    for name, preset in about["presets"].items():
        changes = ", ".join(f"`{key}` = {_said(value)}" for key, value in preset["values"].items()) or "nothing"
        lines.append(f"| **{preset['label']}** (`{name}`) | {preset['hint']} | {changes} |")
    lines += ["", "## Formats", "", "| format | ending | |", "|---|---|---|"]
    lines += [f"| **{one['label']}** (`{one['name']}`) | `{one['extension']}` | {one['hint']} |" for one in about["formats"]]
    return "\n".join(lines) + "\n"


def _setting(one: dict[str, Any], presets: dict[str, Any]) -> list[str]:
    lines = ["", f"### {one['label']}", "", f"`--{one['name'].replace('_', '-')}`. {one['hint']}.", ""]
    if one["type"] == "Choice":
        lines += [f"- **{choice['label']}** (`{choice['name']}`): {choice.get('hint', '')}" for choice in one["choices"]] + [""]
    facts = []
    if "min" in one:
        facts.append(f"{_said(one['min'])} to {_said(one['max'])} {one.get('unit', '')}".rstrip())
    facts.append(f"default {_said(one['default'])}")
    facts += [f"{p['label']} {_said(p['values'][one['name']])}" for p in presets.values() if one["name"] in p["values"]]
    return [*lines, f"*{'; '.join(facts)}*"]


def _picture(one: dict[str, Any], pictures: dict[str, Any]) -> list[str]:
    shown = pictures.get(one["name"])
    if shown is None:
        return []
    left, right = shown["said"]
    return ["", f"![{one['label']}: {left} on the left, {right} on the right](settings/{one['name']}.png)", "", f"{shown['caption']}."]


def _said(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if value == "":
        return "empty"
    return f"`{value}`" if isinstance(value, str) else str(value)


def main() -> int:
    wanted = text(*(tomllib.loads(path.read_text("utf-8")) for path in (DESCRIPTOR, PICTURES)))
    if "--check" in sys.argv[1:]:
        if TARGET.is_file() and TARGET.read_text("utf-8") == wanted:
            return 0
        print(f"{TARGET} is not what effect.toml says: run python docs/make_settings.py", file=sys.stderr)
        return 1
    TARGET.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
