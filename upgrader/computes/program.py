"""The program that a container's Python reads on its standard input: modules of inside/ and one request.

They travel as they lie here, under their own names, so that what runs there is what is typed and tested here. Light:
the sandbox reads requests back with it.
"""

from __future__ import annotations

import base64
import json
import zlib
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent / "inside"
_PACKAGES = ("upgrader", "upgrader.computes", "upgrader.computes.inside")
_MODULES = ("judge", "records", "cloud", "services", "drain", "trial", "main")
"""In the order of their imports."""
_LOADER = """\
import base64, json, sys, types, zlib
given = json.loads(zlib.decompress(base64.b64decode(GIVEN)))
for name in given["packages"]:
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = []
for name, text in given["modules"]:
    module = sys.modules[name] = types.ModuleType(name)
    exec(compile(text, name, "exec"), module.__dict__)
sys.modules["upgrader.computes.inside.main"].main(given["request"])
"""


def program(request: dict[str, Any]) -> str:
    """Python text of one line: letters, digits and no braces, so that nothing on the way takes it for its own."""
    modules = [(f"{_PACKAGES[-1]}.{name}", (_FOLDER / f"{name}.py").read_text(encoding="utf-8")) for name in _MODULES]
    given = json.dumps({"request": request, "packages": _PACKAGES, "modules": modules})
    packed = base64.b64encode(zlib.compress(given.encode(), 9)).decode()
    loader = base64.b64encode(_LOADER.replace("GIVEN", repr(packed)).encode()).decode()
    return f'import base64; exec(base64.b64decode("{loader}"))'


def request_of(text: str) -> dict[str, Any]:
    """The request in a program. Raises ValueError for a text that is none."""
    loader = base64.b64decode(text.partition('b64decode("')[2].partition('"')[0], validate=True).decode()
    packed = loader.partition("b64decode('")[2].partition("'")[0]
    try:
        found: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))["request"]
    except (zlib.error, KeyError, TypeError) as error:
        raise ValueError("no program of this kind") from error
    return found
