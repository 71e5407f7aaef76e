"""YAML files as SOPS writes them (AES-256-GCM per value, a MAC over all), for age keys; `age` does the wrapping."""

import argparse
import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

WHEN = "2026-01-01T00:00:00Z"
VALUE = re.compile(r"^ENC\[AES256_GCM,data:(.*),iv:(.*),tag:(.*),type:(.*)\]$")


def end(code, said):
    print(said, file=sys.stderr)
    sys.exit(code)


def wrap(key, recipient):
    command = ["age", "--armor", "-r", recipient]
    return subprocess.run(command, input=key, capture_output=True, check=True).stdout.decode()


def unwrap(entries):
    known = os.environ.get("SOPS_AGE_KEY", "")
    default = Path(os.environ.get("HOME", "/nowhere")) / ".config" / "sops" / "age" / "keys.txt"
    file = Path(os.environ.get("SOPS_AGE_KEY_FILE", default))
    found = (known + "\n" + (file.read_text() if file.is_file() else "")).split("\n")
    keys = [line.strip() for line in found if line.startswith("AGE-SECRET-KEY-")]
    reason = "age: no identities specified" if not keys else "age: no identity matched any of the recipients"
    for entry in entries:
        for key in keys:
            read, write = os.pipe()
            os.write(write, key.encode() + b"\n")
            os.close(write)
            command = ["age", "--decrypt", "-i", f"/dev/fd/{read}"]
            run = subprocess.run(
                command, input=entry["enc"].encode(), capture_output=True, check=False, pass_fds=(read,)
            )
            os.close(read)
            if run.returncode == 0:
                return run.stdout
    failed = "".join(f"  {entry['recipient']}: FAILED\n    - | {reason}\n" for entry in entries)
    return end(128, "Failed to get the data key required to decrypt the SOPS file.\n\nGroup 0: FAILED\n" + failed)


def seal(key, text, kind, path):
    iv = os.urandom(32)
    both = AESGCM(key).encrypt(iv, text.encode(), path.encode())
    parts = [base64.b64encode(part).decode() for part in (both[:-16], iv, both[-16:])]
    return "ENC[AES256_GCM,data:{},iv:{},tag:{},type:{}]".format(*parts, kind)


def unseal(key, text, path):
    data, iv, tag, kind = VALUE.match(text).groups()
    data, iv, tag = (base64.b64decode(part) for part in (data, iv, tag))
    try:
        plain = AESGCM(key).decrypt(iv, data + tag, path.encode()).decode()
    except InvalidTag:
        end(
            25,
            f"Error walking tree: Could not decrypt value: {path} cipher: message authentication failed",
        )
    return {"str": str, "int": int, "float": float, "bool": lambda word: word == "True"}[kind](plain)


def walk(tree, path, do):
    if isinstance(tree, dict):
        return {name: walk(value, f"{path}{name}:", do) for name, value in tree.items()}
    if isinstance(tree, list):
        return [walk(value, path, do) for value in tree]
    return tree if tree is None or tree == "" else do(tree, path)


parser = argparse.ArgumentParser(prog="sops")
parser.add_argument("--decrypt", "-d", action="store_true")
parser.add_argument("--encrypt", "-e", action="store_true")
for name in ("input-type", "output-type", "age", "pgp", "gcp-kms", "encrypted-regex", "unencrypted-suffix"):
    parser.add_argument(f"--{name}", default="")
parser.add_argument("file")
chosen = parser.parse_args()
me = Path(sys.argv[0])
with me.with_name(f"{me.name}.calls").open("a") as log:
    log.write(json.dumps({"words": sys.argv[1:], "names": sorted(os.environ)}) + "\n")
try:
    document = yaml.safe_load(Path(chosen.file).read_bytes())
except (yaml.YAMLError, UnicodeDecodeError) as error:
    end(6, f"Error unmarshalling input yaml: {type(error).__name__}")
digest = hashlib.sha512()


def noted(value):
    digest.update((value if isinstance(value, str) else str(value)).encode())


if chosen.decrypt:
    if not isinstance(document, dict) or "sops" not in document:
        end(1, "sops metadata not found")
    own = document.pop("sops")
    key = unwrap(own.get("age") or [])

    def opened(value, path):
        plain = unseal(key, value, path) if isinstance(value, str) and VALUE.match(value) else value
        noted(plain)
        return plain

    document = walk(document, "", opened)
    if unseal(key, own["mac"], own["lastmodified"]) != digest.hexdigest().upper():
        end(51, "MAC mismatch. File has another one")
    sys.stdout.write(yaml.safe_dump(document, sort_keys=False, indent=4))
elif chosen.encrypt:
    if not isinstance(document, dict):
        end(6, "Error unmarshalling input yaml")
    if "sops" in document:
        end(203, "The file you have provided contains a top-level entry called 'sops'")
    if not chosen.age:
        end(1, "config file not found, or has no creation rules, and no keys provided through command line options")
    key = os.urandom(32)
    chosen_names = re.compile(chosen.encrypted_regex)

    def sealed(value, path):
        noted(value)
        if not chosen_names.search(path):
            return value
        kind = {str: "str", int: "int", float: "float", bool: "bool"}[type(value)]
        return seal(key, str(value), kind, path)

    document = walk(document, "", sealed)
    document["sops"] = {
        "kms": [], "gcp_kms": [], "azure_kv": [], "hc_vault": [],
        "age": [{"recipient": one, "enc": wrap(key, one)} for one in chosen.age.split(",")],
        "lastmodified": WHEN,
        "mac": seal(key, digest.hexdigest().upper(), "str", WHEN),
        "pgp": [],
        "encrypted_regex" if chosen.encrypted_regex else "unencrypted_suffix": chosen.encrypted_regex or "_unencrypted",
        "version": "3.9.0",
    }  # fmt: skip
    sys.stdout.write(yaml.safe_dump(document, sort_keys=False, indent=4, width=10**6))
else:
    end(1, "this stand-in encrypts and decrypts only")
