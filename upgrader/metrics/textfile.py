"""The file for node_exporter: replaced as a whole, readable by everybody, nothing made for it but itself.

Never made durable: after a loss of power the next run writes it anew, and the journal's own disk is spared.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

MODE = 0o644
"""node_exporter runs as a user of its own."""


def write_textfile(path: Path, text: str) -> None:
    """Replace the file, so that a reader finds the old text or the new one, never a part. Raises OSError.

    Its folder has to be there: the collector watches a folder that its own package made.
    """
    # no name that ends with .prom: the collector would read it half written
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(temporary, flags, MODE)
        try:
            os.fchmod(descriptor, MODE)  # whatever the umask
            view = memoryview(text.encode())
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise


def why_not(path: Path) -> str:
    """Why the file could not be written now; empty when it seems that it can."""
    folder = path.parent
    if not folder.is_dir():
        return f"{folder} is no folder"
    if path.is_dir():
        return f"{path} is a folder"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder} may not be written to by this user"
    return ""
