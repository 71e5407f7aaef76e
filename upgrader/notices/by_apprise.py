"""Through Apprise: mail, chat and a hundred services by their addresses. Only importer of apprise.

Its own words of a failure may quote the address; they are shown without any part of it. It keeps nothing on disk.
"""

from __future__ import annotations

import logging
import re
import threading
from urllib.parse import parse_qsl, unquote, urlsplit

from upgrader.notices.notice import Notice, NotSent
from upgrader.redact import MASK, Redactor

_HOST_IS_A_HOST = ("mail", "json", "xml", "form", "ntfy", "gotify", "rsyslog")
"""Kinds whose host is a machine's name and may be said; Slack and others have a token there."""
_SAYS_WHY = re.compile(r"^(Socket|SMTP|HTTP) ?(Exception|Error)", re.IGNORECASE)
_CAUSES = (
    ("Connection refused", "nobody listens there (connection refused)"),
    ("Name or service not known", "the name of its host is not known"),
    ("Temporary failure in name resolution", "the name of its host is not known"),
    ("nodename nor servname", "the name of its host is not known"),
    ("No address associated", "the name of its host is not known"),
    ("timed out", "the server did not answer in time"),
    ("CERTIFICATE_VERIFY_FAILED", "the server's certificate is not accepted"),
    ("Connection reset", "the server broke off the connection"),
    ("unexpectedly closed", "the server broke off the connection"),
)
"""What the libraries below Apprise say, and what that means."""
_LONGEST = 300


def send(url: str, notice: Notice) -> None:
    """Send it. Raises NotSent; a host that hangs is left after Apprise's own seconds (`?cto=`, `?rto=`), or by whoever
    waits for this process."""
    try:
        import apprise
        from apprise.common import NotifyFormat, NotifyType, PersistentStoreMode
    except ImportError:
        raise NotSent("Apprise is not installed") from None
    asset = apprise.AppriseAsset(
        app_id="upgrader", app_desc="upgrader", async_mode=False, secure_logging=True,
        storage_mode=PersistentStoreMode.MEMORY,
    )  # fmt: skip
    kinds = {
        "info": NotifyType.INFO, "success": NotifyType.SUCCESS, "warning": NotifyType.WARNING,
        "failure": NotifyType.FAILURE,
    }  # fmt: skip
    with _Listening() as heard:
        try:
            service = apprise.Apprise.instantiate(url, asset=asset, suppress_exceptions=True)
            if service is None or isinstance(service, dict):
                # without its words, which quote the address as it understood it
                raise NotSent(f"Apprise knows no address {url.partition('://')[0]}://… of this form")
            good = service.notify(
                body=notice.text, title=notice.title, notify_type=kinds[notice.level], body_format=NotifyFormat.TEXT
            )
        except NotSent:
            raise
        except Exception as error:  # whatever a service's code does, the others are told
            raise NotSent(f"{type(error).__name__}{_because([str(error)], url)}") from None
    if not good:
        raise NotSent(heard.causes[-1] if heard.causes else f"not taken{_because(heard.lines, url)}")


class _Listening(logging.Handler):
    """Hears what Apprise says on this thread."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []
        self.causes: list[str] = []
        self._thread = threading.get_ident()
        self._logger = logging.getLogger("apprise")

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        text = record.getMessage()
        if record.levelno >= logging.WARNING:
            self.lines.append(text)
        elif _SAYS_WHY.match(text):
            self.causes += [words for mark, words in _CAUSES if mark.lower() in text.lower()]

    def __enter__(self) -> _Listening:
        self._logger.setLevel(logging.DEBUG)
        self._logger.propagate = False
        self._logger.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)


def _because(lines: list[str], url: str) -> str:
    text = " ".join(" ".join(lines).split())
    return f": {without(text, url)[:_LONGEST]}" if text else ""


def without(text: str, url: str) -> str:
    """The text without any part of an address that may be secret: of some kinds, that is all but the kind."""
    parts = urlsplit(url)
    words = {url, parts.netloc, parts.path, parts.query, parts.username or "", parts.password or ""}
    words |= set(parts.path.split("/")) | set(re.split(r"[@:]", parts.netloc))
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        words |= {name, value} if name.startswith(("+", "-", ":")) else {value}
    host = parts.hostname or ""
    if parts.scheme.startswith(_HOST_IS_A_HOST):
        words -= {host, parts.netloc.rpartition("@")[2], *host.split(".")}
    words |= {unquote(word) for word in words}
    secrets = {word for word in words if word.strip("/?&= ")}
    text = Redactor(secrets).text(text)
    for word in sorted((word for word in secrets if len(word) < 4), key=len, reverse=True):
        # too short for the redactor, which does not look at where a word ends
        text = re.sub(rf"(?<![A-Za-z0-9]){re.escape(word)}(?![A-Za-z0-9])", MASK, text)
    return text
