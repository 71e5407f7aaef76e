"""The addresses: from a file that others cannot read, or a variable; what is in them is never said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from upgrader.errors import ConfigError
from upgrader.notice_rules import NoticeRules
from upgrader.notices.addresses import Address, lacking, parse_addresses, read_addresses

TOKEN = "T0kenThatNobodySees"
GOOD = f"""
# who is on call
oncall = webhook+https://hooks.example.net/{TOKEN}
slack://{TOKEN}/B/C
  mailto://user:{TOKEN}@example.net?to=a=b@example.net
"""


def write(path: Path, text: str | bytes, mode: int = 0o600) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(mode)
    return path


def test_names_and_kinds(tmp_path: Path) -> None:
    found = read_addresses(NoticeRules(urls_file=write(tmp_path / "urls", GOOD)))
    assert [(one.name, one.kind, one.ours) for one in found] == [
        ("oncall", "webhook+https", True), ("slack-2", "slack", False), ("mailto-3", "mailto", False),
    ]  # fmt: skip
    assert found[2].url.endswith("?to=a=b@example.net")
    assert TOKEN not in repr(found)


def test_out_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUD_NOTICES", GOOD)
    rules = NoticeRules(urls_environment="CLOUD_NOTICES")
    assert len(read_addresses(rules)) == 3
    assert [one.name for one in read_addresses(rules, "x = json://h")] == ["x"]
    monkeypatch.delenv("CLOUD_NOTICES")
    with pytest.raises(ConfigError, match=r"CLOUD_NOTICES .* is not set"):
        read_addresses(rules)
    with pytest.raises(ConfigError, match="not set"):
        read_addresses(rules, "")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "it holds no address"),
        ("# nothing\n", "it holds no address"),
        (f"json://h\n{TOKEN}\n", "line 2: no address"),
        (f"http:/{TOKEN}", "line 1: no address"),
        (f"a b = json://{TOKEN}", "line 1: no address"),
        (f"json://{TOKEN}\x1b[2J", "line 1: no address"),
        (f"a = json://{TOKEN}\na = xml://{TOKEN}", "line 2: a is the name of another line"),
        ("\n".join(f"json://{TOKEN}{n}" for n in range(60)), "it holds 60 addresses, at most 50"),
    ],
)
def test_what_is_no_list(text: str, fault: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_addresses(text, "urls")
    assert any(fault in line for line in caught.value.details)
    assert TOKEN not in " ".join([caught.value.message, *caught.value.details])


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o610])
def test_a_file_that_others_can_read(tmp_path: Path, mode: int) -> None:
    path = write(tmp_path / "urls", GOOD, mode)
    with pytest.raises(ConfigError, match=f"can be read by others .mode {mode:04o}") as caught:
        read_addresses(NoticeRules(urls_file=path))
    assert caught.value.next_command == f"chmod 600 {path}"


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    def words(path: Path) -> str:
        with pytest.raises(ConfigError) as caught:
            read_addresses(NoticeRules(urls_file=path))
        return caught.value.message

    assert "is not there" in words(tmp_path / "gone")
    assert "is no regular file" in words(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    assert "is no regular file" in words(tmp_path / "pipe"), "and it was not waited for"
    assert "not UTF-8" in words(write(tmp_path / "bytes", b"json://\xff\xfe"))
    assert "larger than 64 KiB" in words(write(tmp_path / "large", b"#" * 70000))


def test_what_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = Address("hook", "webhook+https://h/"), Address("mail", f"mailto://{TOKEN}")
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert lacking([ours]) == ""
    said = lacking([ours, theirs])
    assert "mail cannot be told" in said and "pip install 'upgrader[notices]'" in said and TOKEN not in said
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: object())
    assert lacking([ours, theirs]) == ""
