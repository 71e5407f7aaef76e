"""`python -m upgrader.graph [FOLDER]`: checks the release graph's data and says every fault, or what it holds."""

from __future__ import annotations

import sys
from pathlib import Path

from upgrader.errors import DataError
from upgrader.graph.check import validate_all


def main(arguments: list[str]) -> int:
    """Exit code 0 when the data is sound, 3 when it is damaged, 2 for a wrong call."""
    if len(arguments) > 1:
        sys.stderr.write("usage: python -m upgrader.graph [FOLDER]\n")
        return 2
    try:
        count = validate_all(Path(arguments[0]) if arguments else None)
    except DataError as error:
        sys.stdout.write("".join(f"{fault}\n" for fault in error.details))
        return error.exit_code
    sys.stdout.write(f"{count.releases} releases, {count.hops} hops, {count.actions} actions\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
