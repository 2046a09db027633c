"""A notebook as a page: with the outputs that were saved, nothing is run again."""

from __future__ import annotations

import ast
import base64
import json
import re
import struct
from collections.abc import Mapping
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pgce_mini.playground import PlaygroundState, given_query
from pgce_mini.site.markdown import NOBODY, lowered, outside_code, with_links
from pgce_mini.site.pictures import live_picture, title_of

PLOTLY, PNG, WIDGET = "application/vnd.plotly.v1+json", "image/png", "application/vnd.jupyter.widget-view+json"
OF_TOKENS = {"prompt", "tokens", "labels"}  # they go together in an address
RENAMED = {"top_k": "k", "prediction": "predict"}  # of a setting, in an address
FORMULA = re.compile(r"(?<![\\$])\$(?!\$)(?:(?!\n\n)[^$])+\$(?!\$)")
SLIDERS = "In a running notebook this picture has sliders."


def with_live_pictures(path: Path, home: Path, pictures: Path, owner: Mapping[str, str] = NOBODY) -> str:
    """The text of the notebook; its pictures are written into the folder `pictures`, at the root of the site."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    file = path.relative_to(home).as_posix()
    root = "../" * file.count("/")
    count = 0
    parted, titled = _has_parts(notebook), False
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            text = outside_code(with_links("".join(cell["source"]), home, file, owner), _with_whole_formulas)
            cell["source"] = lowered(text) if titled and parted else text
            titled = True
        for output in cell.get("outputs", []):
            data: dict[str, Any] = output.get("data", {})
            if PLOTLY in data:
                count += 1
                name = f"{path.stem[:2]}-{count}.png"
                image = base64.b64decode("".join(data[PNG]))
                pictures.mkdir(exist_ok=True)
                (pictures / name).write_bytes(image)
                size = struct.unpack(">II", image[16:24])  # of a PNG's header
                note = SLIDERS if WIDGET in data else ""
                shown = live_picture(f"{root}pictures/{name}", size, data[PLOTLY], title_of(data[PLOTLY]), note)
            elif WIDGET in data:
                shown = _playground("".join(data["text/plain"]), root)
            else:
                continue
            output["data"] = {"text/html": shown}
    return json.dumps(notebook, ensure_ascii=False)


def _with_whole_formulas(text: str) -> str:
    """Jupyter finds formulas first, Markdown the marks at the beginning of a line: `$x\\n> 0$` is no quotation."""
    return FORMULA.sub(lambda found: found[0].replace("\n", " "), text)


def _has_parts(notebook: dict[str, Any]) -> bool:
    """Whether a title follows the first one: a page has a single one."""
    texts = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown"]
    return any(text.startswith("# ") for text in texts[1:])


def _playground(made: str, root: str) -> str:
    """What stands where a notebook has the widget: the same playground, in the state that it was made with."""
    address = escape(f"{root}playground.html#{_state(made)}")
    title = f"The playground: {escape(made)}"
    return f'<iframe class="playground" src="{address}" title="{title}" loading="lazy"></iframe>'


def _state(made: str) -> str:
    """The settings of a widget, `Playground(beta=-0.25, top_k=2)`, as an address has them."""
    call = ast.parse(made, mode="eval").body
    assert isinstance(call, ast.Call), made
    changed = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    pairs = []
    if changed.keys() & OF_TOKENS:
        state = PlaygroundState(**changed)
        pairs = given_query(state.prompt, state.tokens, state.labels)
    others = {name: value for name, value in changed.items() if name not in OF_TOKENS}
    pairs += [(RENAMED.get(name, name), _text(value)) for name, value in others.items()]
    return urlencode(pairs, safe=",")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return str(int(value)) if isinstance(value, bool) else str(value)
