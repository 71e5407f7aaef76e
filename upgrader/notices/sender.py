"""Starts the process that sends, and hears how it ended. Never waits where nobody asked for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any

from upgrader.errors import ConfigError
from upgrader.notice_rules import NoticeRules
from upgrader.notices.addresses import Address, read_secret
from upgrader.notices.notice import Notice
from upgrader.notices.sending import Order
from upgrader.runner import environment

_PASSED = (
    "http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
)  # fmt: skip
"""The way out of the operator's network, and the authorities it trusts."""


def outward(outer: Mapping[str, str]) -> dict[str, str]:
    """Environment of a process that sends: minimal, with the way out."""
    return environment.minimal(outer) | {name: outer[name] for name in _PASSED if outer.get(name)}


def order_for(rules: NoticeRules, notice: Notice, to: tuple[tuple[Address, int], ...], ledger: str = "") -> Order:
    """The order, with the webhook's key read now."""
    key, fault = "", ""
    if rules.webhook_secret_file is not None and any(address.ours for address, _ in to):
        try:
            key = read_secret(rules.webhook_secret_file, "webhook's secret file")
            fault = "" if key.strip() else f"{rules.webhook_secret_file} is empty"
        except ConfigError as error:
            fault = error.message.rstrip(".")
    return Order(notice, to, float(rules.timeout), ledger, key, fault)


class Sending:
    """One process at work. Raises OSError when it cannot be started."""

    def __init__(self, order: Order) -> None:
        self.notice = order.notice
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `results`
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "upgrader.notices"],
                env=outward(os.environ), stdin=subprocess.PIPE, stdout=self._out, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            self._out.close()
            raise
        assert self._process.stdin is not None  # noqa: S101 - asked for
        with suppress(BrokenPipeError), self._process.stdin as pipe:
            pipe.write(json.dumps(order.document()).encode())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    def results(self, patience: float | None = None) -> dict[str, tuple[str, str]]:
        """(state, why) by name, once it is over; waits for that. One that said nothing is not there."""
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._out.seek(0)
        found: dict[str, tuple[str, str]] = {}
        for line in self._out.read().splitlines():
            with suppress(ValueError, KeyError, TypeError):
                said: Mapping[str, Any] = json.loads(line)
                found[str(said["name"])] = (str(said["state"]), str(said["why"]))
        self._out.close()
        return found
