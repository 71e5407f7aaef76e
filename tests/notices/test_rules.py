"""`[notices]` and `[metrics]`: every fault named; a secret in the wrong place is not repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from upgrader.config import Site, load_site
from upgrader.errors import ConfigError
from upgrader.notice_rules import EVENTS

SITE = '[site]\nname = "a"\n[kolla]\nconfig_dir = "/k"\ninventory = "i"\n'


def site(folder: Path, text: str = "") -> Site:
    (folder / "upgrader.toml").write_text(SITE + text)
    return load_site(folder / "upgrader.toml")


def test_without_the_sections_nobody_is_told(tmp_path: Path) -> None:
    found = site(tmp_path)
    assert not found.notices.wanted and found.metrics.textfile is None


def test_everything(tmp_path: Path) -> None:
    text = '[notices]\nurls_file = "n.urls"\nwebhook_secret_file = "n.key"\nevents = ["failed"]\ntitle = "Köln"\n'
    text += 'timeout = 5\n[metrics]\ntextfile = "/var/lib/x/upgrader.prom"\ninterval = 30\n'
    found = site(tmp_path, text)
    assert found.notices.urls_file == tmp_path / "n.urls" and found.notices.events == ("failed",)
    assert (found.notices.title, found.notices.timeout) == ("Köln", 5)
    assert found.metrics.textfile == Path("/var/lib/x/upgrader.prom") and found.metrics.interval == 30
    assert site(tmp_path, '[notices]\nurls_environment = "A_B"\n').notices.events == EVENTS


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[notices]\nevents = ["failed", "never"]\n', "[notices] events: never: none of waiting, failed, "),
        ('[notices]\nurls_environment = "a b"\n', "urls_environment: wants the name of a variable"),
        ('[notices]\nurls_environment = "json://SECRET"\n', "has what looks like an address"),
        ('[notices]\nurls_file = "a"\nurls_environment = "B"\n', "one of the two"),
        ('[notices]\ntimeout = 0\n', "timeout: 0 is not between 1 and 600"),
        ('[notices]\ntitle = "a\\nb"\n', "title: wants one line"),
        ('[notices]\nurls = ["json://h"]\n', "[notices] urls: no such key"),
        ('[metrics]\ntextfile = "upgrader.txt"\n', "does not end with .prom"),
        ('[metrics]\ninterval = 0\n', "interval: 0 is not between"),
    ],
)  # fmt: skip
def test_faults(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        site(tmp_path, text)
    assert any(fault in line for line in caught.value.details)
    assert "SECRET" not in " ".join(caught.value.details)
