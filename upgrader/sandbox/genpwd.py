"""`kolla-genpwd` of a sandbox toolchain: fills the empty keys of a passwords file in place."""

from __future__ import annotations

import argparse
from pathlib import Path

from upgrader.sandbox.secrets import fill


def main() -> None:
    parser = argparse.ArgumentParser(prog="kolla-genpwd")
    parser.add_argument("-p", "--passwords", type=Path, default=Path("/etc/kolla/passwords.yml"))
    path: Path = parser.parse_args().passwords
    path.write_text(fill(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
