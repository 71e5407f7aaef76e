"""`kolla-mergepwd` of a sandbox toolchain: old values where there are any, else those of the new file."""

from __future__ import annotations

import argparse
from pathlib import Path

from upgrader.sandbox.secrets import top_level


def main() -> None:
    parser = argparse.ArgumentParser(prog="kolla-mergepwd")
    parser.add_argument("--old", type=Path, required=True)
    parser.add_argument("--new", type=Path, required=True)
    parser.add_argument("--final", type=Path, required=True)
    parser.add_argument("--clean", action="store_true", help="drop keys that the new file does not have")
    words = parser.parse_args()
    old, new = (top_level(path.read_text(encoding="utf-8")) for path in (words.old, words.new))
    merged = {**new, **{key: lines for key, lines in old.items() if key in new or not words.clean}}
    words.final.write_text("---\n" + "".join(merged[key] for key in sorted(merged)), encoding="utf-8")


if __name__ == "__main__":
    main()
