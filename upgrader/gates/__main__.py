"""`python -m upgrader.gates [FOLDER]`: checks the release graph's data with its conditions, and says every fault."""

from __future__ import annotations

import sys
from pathlib import Path

from upgrader.errors import DataError
from upgrader.gates.faults import condition_faults
from upgrader.graph import load_graph
from upgrader.graph.check import validate_all


def main(arguments: list[str]) -> int:
    """Exit code 0 when data and conditions are sound, 3 when they are damaged, 2 for a wrong call."""
    if len(arguments) > 1:
        sys.stderr.write("usage: python -m upgrader.gates [FOLDER]\n")
        return 2
    folder = Path(arguments[0]) if arguments else None
    try:
        count = validate_all(folder)
    except DataError as error:
        sys.stdout.write("".join(f"{fault}\n" for fault in error.details))
        return error.exit_code
    faults = condition_faults(load_graph(folder))
    sys.stdout.write("".join(f"{fault}\n" for fault in faults))
    if faults:
        return DataError.exit_code
    sys.stdout.write(
        f"{count.releases} releases, {count.hops} hops, {count.actions} actions: every condition is sound\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
