"""A plain text for Ansible as a file that may lie anywhere: in Ansible Vault's own form, for a password used once.

Ansible resolves links before it reads variables, so that a file in memory does not do for them. The cipher is
format 1.2 of ansible-core's lib/ansible/parsing/vault (AES-256 in counter mode, PBKDF2 and HMAC with SHA-256).
"""

from __future__ import annotations

import os
import secrets
from binascii import hexlify

LABEL = "upgrader-once"
"""Vault id of the password; also fits where a site lets only the file's own id be tried."""
_ITERATIONS, _KEY, _BLOCK, _LINE = 10_000, 32, 16, 80


def fresh_password() -> str:
    """A password nobody has to remember."""
    return secrets.token_urlsafe(48)


def seal(plain: bytes, password: str) -> bytes:
    """`plain` as a file that Ansible opens with `password`."""
    from cryptography.hazmat.primitives import hashes, hmac, padding
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    salt = os.urandom(32)
    derived = PBKDF2HMAC(hashes.SHA256(), 2 * _KEY + _BLOCK, salt, _ITERATIONS).derive(password.encode())
    padder = padding.PKCS7(128).padder()
    padded = padder.update(plain) + padder.finalize()
    encryptor = Cipher(algorithms.AES(derived[:_KEY]), modes.CTR(derived[2 * _KEY :])).encryptor()
    cipher = encryptor.update(padded) + encryptor.finalize()
    signer = hmac.HMAC(derived[_KEY : 2 * _KEY], hashes.SHA256())
    signer.update(cipher)
    body = hexlify(b"\n".join(hexlify(part) for part in (salt, signer.finalize(), cipher))).decode()
    lines = [body[place : place + _LINE] for place in range(0, len(body), _LINE)]
    return f"$ANSIBLE_VAULT;1.2;AES256;{LABEL}\n{chr(10).join(lines)}\n".encode()
