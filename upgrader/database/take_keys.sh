# Prints Keystone's key folders as tar in base64, each in a section. Changes nothing, always exits 0.
errors=$(mktemp) || exit 1
trap 'rm -f "$errors"' EXIT
set -o pipefail
for keys in fernet-keys credential-keys; do
  if answer=$(engine cp "keystone:/etc/keystone/$keys" - 2>"$errors" | base64 -w 0) && [ -n "$answer" ]; then
    printf '@@%s\n%s\n' "$keys" "$answer"
  else
    printf '@@failed %s %s\n' "$keys" "$(tr '\r\n' '  ' <"$errors" | cut -c1-400)"
  fi
done
exit 0
