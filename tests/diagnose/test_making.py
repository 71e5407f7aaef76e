"""A diagnosis as a whole on this machine: which attempt, what is written, and that it always is."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from tests.diagnose_kit import AT, answer, diagnosis, facts, failure, heard, hosts, log, story
from tests.engine_kit.place import a_plan, opened, prepare
from upgrader import diagnose as package
from upgrader.config import load_site
from upgrader.diagnose import making
from upgrader.diagnose.making import diagnose, place_of, subject_of
from upgrader.diagnose.markdown import markdown
from upgrader.diagnose.model import Story
from upgrader.errors import ConfigError, UpgraderError, UsageError
from upgrader.journal import open_journal
from upgrader.states import AttemptState, Event, State
from upgrader.status_read import diagnosis_of, gather

CANARY = "Canary-of-a-password-0815"


@pytest.fixture
def site(tmp_path: Path):
    """A site whose cloud cannot be asked: there is no toolchain."""
    folder = tmp_path / "site"
    (folder / "kolla").mkdir(parents=True)
    (folder / "kolla/globals.yml").write_text(f"openstack_release: '2024.1'\nown_registry_password: {CANARY}2\n")
    (folder / "kolla/passwords.yml").write_text(f"database_password: {CANARY}\nshort: abcd\n")
    (folder / "inventory").write_text("[control]\nctl1\n")
    (folder / "upgrader.toml").write_text(
        '[site]\nname = "prod-fra"\n[kolla]\nconfig_dir = "kolla"\ninventory = "inventory"\n'
    )
    return load_site(folder / "upgrader.toml")


def test_without_a_run_and_without_a_cloud_there_is_a_file(site):
    found, path = diagnose(site)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.parent == site.state_dir / "diagnoses" / "cloud"
    assert path.read_text() == markdown(found)
    assert found.summary[0].startswith("No attempt failed")
    assert "No toolchain is built" in found.gaps[-1].why


def test_offline_asks_nobody(site, monkeypatch):
    monkeypatch.setattr(making, "Question", None)
    found, _ = diagnose(site, offline=True)
    assert found.offline and found.gaps[-1].why == "not asked: --offline"


def test_passwords_that_cannot_be_read_keep_logs_out(site, monkeypatch):
    monkeypatch.setattr(making, "Question", None)
    site.passwords.write_text("{{{ broken")
    found, path = diagnose(site)
    assert "could not be recognised" in found.gaps[-1].why
    assert path.is_file()


def test_the_file_is_there_before_the_cloud_is_asked(site, monkeypatch, tmp_path):
    """Whatever happens while hosts are asked."""

    class Dies:
        def __init__(self, *_given):
            return

        def ask(self):
            raise KeyboardInterrupt

    monkeypatch.setattr(making, "Question", Dies)
    with pytest.raises(KeyboardInterrupt):
        diagnose(site, keep=tmp_path / "out.md")
    assert "it was being asked" in (tmp_path / "out.md").read_text()


def test_a_place_that_cannot_be_written_is_named(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises((ConfigError, UpgraderError)) as raised:
        diagnose(site, offline=True, keep=tmp_path / "file" / "out.md")
    assert "out.md" in raised.value.message


@pytest.mark.parametrize("name", ["../../etc", "no-such", "0446d6f4", "x; rm"])
def test_an_attempt_that_there_is_none_of(site, name):
    with pytest.raises(UsageError) as raised:
        subject_of(site, name)
    assert raised.value.next_command == "upgrader history"


def test_the_engine_never_hears_of_a_trouble(site, monkeypatch):
    monkeypatch.setattr(making, "diagnose", lambda *_given, **_more: 1 / 0)
    assert package.automatic(site, "x", lambda: False) == (None, "ZeroDivisionError: division by zero")


# ---------------------------------------------------------------- attempts


@pytest.fixture
def ran(tmp_path: Path):
    """A site whose upgrade failed: (site, id of the attempt)."""
    place = tmp_path / "run"
    place.mkdir()
    where = prepare(place)
    with opened(where) as session:
        session.begin(a_plan(session.journal))
        journal = session.journal
        journal.begin_hop(0)
        for event in (State.PREFLIGHT, State.BACKUP, State.PULL, State.REHEARSE):
            attempt = journal.intend(0, event, request_sha256="0" * 64)
            journal.launched(attempt.id, 1)
            journal.finish(attempt.id, AttemptState.SUCCEEDED, Event.SUCCEEDED, {})
        snapshot = journal.snapshot()
        if snapshot.hop.state is State.HOLD_BROKER:
            journal.move(0, Event.SKIP, "engine", "nothing to migrate")
        journal.move(0, Event.APPROVE, "anna", "go")
        attempt = journal.intend(0, State.UPGRADE, request_sha256="0" * 64)
        journal.launched(attempt.id, 1)
        journal.finish(
            attempt.id, AttemptState.FAILED, Event.FAILED, {}, message="upgrade: ctl1 failed", schema_started=False
        )
    return where, attempt.id


def test_the_newest_attempt_that_failed_is_meant(ran):
    site, attempt = ran
    subject = subject_of(site)
    assert (subject.story.attempt, subject.story.stage, subject.story.verdict) == (attempt, "upgrade", "failed")
    assert subject.planned["from"] == "2024.1"
    assert subject_of(site, attempt[:8]).story.attempt == attempt


def test_status_names_the_newest_file(ran):
    site, attempt = ran
    assert gather(site).diagnosis == ""
    _, path = diagnose(site, offline=True)
    assert path.parent.name == attempt
    newer = path.with_name("diagnose-29991231T000000Z.md")
    newer.write_text("x")
    assert gather(site).diagnosis == str(newer)
    assert diagnosis_of(site, "no-such-attempt") == ""


def test_the_place_of_a_file(site):
    assert place_of(site, Story(attempt="a")).parent == site.state_dir / "diagnoses" / "a"


def test_what_is_known_of_the_hop_comes_from_its_data(ran):
    site, _ = ran
    found, _ = diagnose(site, offline=True)
    assert found.summary[0].startswith("hop 1 of")
    assert found.summary[2].startswith("Way back:")
    assert len(found.checks) == 3


def test_it_leaves_the_journal_alone(ran):
    site, _ = ran

    def head() -> str:
        with open_journal(site.state_dir, readonly=True) as journal:
            return journal.snapshot().head

    before = head()
    diagnose(site, offline=True)
    assert head() == before


# ---------------------------------------------------------------- canaries


def test_no_password_of_the_site_in_any_part(tmp_path):
    secret = "S3cret'With\"quotes"
    told = story(
        failure(f"ctl1 {secret}", task=secret, message=secret, words=f"rc: 1\n{secret}", path=secret, module=secret),
        message=secret, findings=((secret, secret, secret),), watched=(secret,), step=secret, play=secret,
    )  # fmt: skip
    lines = [
        f"2026-11-22 03:12:05 ERROR {secret}",
        json.dumps({"a": secret}),
        f"{secret} ... [9 bytes of this line left out]",
    ]
    said = answer(
        log(*lines, path=f"/var/log/kolla/keystone/{secret}.log", folder="keystone"),
        states={secret: f"Exited {secret}"}, host={"kernel": [f"Out of memory: {secret}"], "disks": []},
    )  # fmt: skip
    rows = hosts("ctl1", "ctl2")
    rows[1] = rows[1].model_copy(update={"reachable": False, "error": f"ssh {secret}"})
    found = heard(told, facts(*rows), {"ctl1": said}, [secret])
    found.gap(secret, f"because {secret}")
    made = diagnosis(tmp_path, told, found, reason=secret, accepted=((secret, secret, secret),))
    text = markdown(made) + json.dumps(made.document())
    assert secret not in text and "S3cret" not in text and "quotes" not in text.replace("`quoted`", "")
    assert "********" in text


def test_hosts_without_an_answer_are_gaps_and_the_rest_is_told(tmp_path):
    told = story(failure())
    made = diagnosis(tmp_path, told, heard(told, facts(*hosts("ctl1")), {}))
    assert made.cloud.at and made.excerpts == () and made.window[0].startswith("2026-11-22T03:07")
    assert AT
