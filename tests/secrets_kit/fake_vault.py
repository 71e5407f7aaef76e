import json
import os
import sys
from pathlib import Path

me = Path(sys.argv[0])
server = json.loads(me.with_name(f"{me.name}.store").read_text())
words = sys.argv[1:]
with me.with_name(f"{me.name}.calls").open("a") as log:
    log.write(json.dumps({"words": words, "names": sorted(os.environ)}) + "\n")


def end(code, said):
    print(said, file=sys.stderr)
    sys.exit(code)


if words[:1] != ["kv"] or words[1] not in ("get", "list"):
    end(127, "Usage: vault <command> [args]")
options = {word[1:].partition("=")[0]: word.partition("=")[2] for word in words[2:] if word.startswith("-")}
paths = [word for word in words[2:] if not word.startswith("-")]
if len(paths) != 1:
    end(1, f"Not enough arguments (expected 1, got {len(paths)})")
if options.get("format") != "json":
    end(1, "this stand-in answers in JSON only")
address = os.environ.get("VAULT_ADDR") or os.environ.get("BAO_ADDR") or "https://127.0.0.1:8200"
asked = f"{address}/v1/sys/internal/ui/mounts/{options['mount']}"
if server.get("away"):
    end(2, f'Get "{asked}": dial tcp 127.0.0.1:8200: connect: connection refused')
if server.get("untrusted"):
    end(2, f'Get "{asked}": tls: failed to verify certificate: x509: certificate signed by unknown authority')
if server.get("garbage"):
    sys.stdout.buffer.write(b"\x00\xff\xfe{")
    sys.exit(0)
head = f"Error making API request.\n\nURL: GET {asked}\nCode: %s. Errors:\n\n* %s"
if server.get("sealed"):
    end(2, head % (503, "Vault is sealed"))
helper = Path(os.environ.get("HOME", "/nowhere")) / ".vault-token"
token = os.environ.get("VAULT_TOKEN") or os.environ.get("BAO_TOKEN")
token = token or (helper.read_text().strip() if helper.is_file() else "")
if not token:
    end(2, head % (400, "missing client token"))
if token not in server["tokens"]:
    end(2, head % (403, "permission denied\n* invalid token"))
where = f"{options['mount']}/{paths[0].strip('/')}"
if words[1] == "list":
    below = sorted({key[len(where) + 1 :].split("/")[0] for key in server["secrets"] if key.startswith(where + "/")})
    if not below:
        end(2, f"No value found at {options['mount']}/metadata/{paths[0]}")
    print(json.dumps(below))
elif where not in server["secrets"]:
    end(2, f"No value found at {options['mount']}/data/{paths[0]}")
elif server.get("v1"):
    print(json.dumps({"data": server["secrets"][where]}))
else:
    print(json.dumps({"data": {"data": server["secrets"][where], "metadata": {"version": 1}}}))
