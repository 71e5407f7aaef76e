"""Fernet keys of one Keystone as keyed hashes: enough to compare hosts, nothing to learn a key from.

The hash's key comes in UPGRADER_SECRET. Names are numbers: 0 is the staged key, the highest the primary one.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sys
import time

FOLDER = "/etc/keystone/fernet-keys"


def keys(folder: str, secret: bytes, now: float) -> dict[str, object]:
    """`{number: hash}` and the age of the primary key in hours. Raises OSError."""
    numbers = sorted(int(name) for name in os.listdir(folder) if name.isdigit())
    found = {}
    for number in numbers:
        with open(f"{folder}/{number}", "rb") as stream:
            found[str(number)] = hmac.new(secret, stream.read().strip(), hashlib.sha256).hexdigest()[:32]
    age = (now - os.stat(f"{folder}/{numbers[-1]}").st_mtime) / 3600 if numbers else None
    return {"keys": found, "primary_age_hours": age if age is None else round(max(age, 0.0), 1)}


def main() -> None:
    secret = os.environ.get("UPGRADER_SECRET", "").encode()
    answer: dict[str, object] = {"error": "no key for the hashes was given"}
    if secret:
        try:
            answer = keys(sys.argv[2] if len(sys.argv) > 2 else FOLDER, secret, time.time())
        except FileNotFoundError:
            answer = {"keys": {}, "primary_age_hours": None}
        except OSError as error:
            answer = {"error": f"{error.strerror}: {error.filename}"}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
