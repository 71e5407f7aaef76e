"""What the probe of the public APIs said last is seen, and not believed longer than the probe works."""

from __future__ import annotations

from pathlib import Path

from tests.watch_kit import Clocks, going, probing
from upgrader.watch.sample import Watcher


def test_who_is_away_and_for_how_long(tmp_path: Path):
    with going(tmp_path) as run:
        clocks = Clocks()
        looking = Watcher(run.site, now=clocks.now, mono=clocks.mono)
        assert looking.sample().apis == () and looking.sample().apis_note
        clocks.sleep(60)
        with probing(run, "away", 4.5):
            seen = looking.sample()
        assert [(api.name, api.state, api.away_seconds) for api in seen.apis] == [
            ("keystone", "up", 0),
            ("neutron", "away", 4.5),
        ]
        assert any(one.text == "away now: neutron" for one in seen.insights)
        with probing(run, "away", 5.5):
            again = looking.sample()
        assert again.settled() == seen.settled(), "only seconds went by"
        with probing(run, "up", 6.0):
            back = looking.sample()
        assert back.settled() != seen.settled() and not any("away now" in one.text for one in back.insights)


def test_a_probe_that_ended_is_not_believed(tmp_path: Path):
    with going(tmp_path) as run:
        with probing(run, "up", 0):
            pass
        seen = Watcher(run.site).sample()
    assert {api.state for api in seen.apis} == {"unknown"} and "ended" in seen.apis_note
