from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from upgrader.errors import ConfigError, StaleError
from upgrader.kolla import globals_yml
from upgrader.kolla.globals_yml import Edit, apply_edit, globals_files, plan_edit, read_globals

GOLDEN = Path(__file__).parent.parent / "golden" / "globals"


def written(folder: Path, content: str | bytes, name: str = "globals.yml") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def planned(path: Path, **settings: str) -> Edit:
    (edit,) = plan_edit([path], settings)
    return edit


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("openstack_release: 2025.1", "2025.1"),
        ("openstack_release: 2025.10", "2025.10"),
        ("openstack_release: '2025.1'", "2025.1"),
        ('openstack_release: "2025.1"  # why', "2025.1"),
        ("openstack_release:   2024.10   # spaces", "2024.10"),
        ("openstack_release: 2_025.1", "2_025.1"),
        ("openstack_release: master", "master"),
        ("openstack_release:", ""),
        ("openstack_release: ~", ""),
        ("openstack_release: null", ""),
        ("openstack_release: 'null'", "null"),
        ("openstack_release: !unsafe 2025.1", "2025.1"),
        ("{openstack_release: 2025.1, x: y}", "2025.1"),
        ('{"openstack_release": "2025.1"}', "2025.1"),
    ],
)
def test_a_release_is_text_however_it_is_written(tmp_path: Path, line: str, value: str) -> None:
    path = written(tmp_path, line + "\n")
    assert read_globals([path]).get("openstack_release") == value


def test_the_later_file_wins_and_says_where(tmp_path: Path) -> None:
    written(tmp_path, "a: 1\nb: 1\nc: 1\n")
    written(tmp_path, "# x\nb: 2\nc: 2\n", "globals.d/10-first.yml")
    written(tmp_path, "c: 3\n", "globals.d/9-last.yml")  # by name, not by number: 9 comes after 10
    written(tmp_path, "c: 4\n", "globals.d/not-read.txt")
    files = globals_files(tmp_path, "2025.1")
    assert [path.name for path in files] == ["globals.yml", "10-first.yml", "9-last.yml"]
    read = read_globals(files)
    assert dict(read.values) == {"a": "1", "b": "2", "c": "3"}
    assert read.where["b"] == (tmp_path / "globals.d" / "10-first.yml", 2)


def test_only_the_new_command_line_reads_yaml_and_json_endings(tmp_path: Path) -> None:
    written(tmp_path, "a: 1\n")
    for name in ("x.yaml", "y.json", "z.yml"):
        written(tmp_path, "{}", f"globals.d/{name}")
    assert [path.name for path in globals_files(tmp_path, "2024.1")] == ["globals.yml", "z.yml"]
    assert [path.name for path in globals_files(tmp_path, "2024.2")] == ["globals.yml", "x.yaml", "y.json", "z.yml"]


@pytest.mark.parametrize(
    ("text", "flag"), [("yes", True), ("True", True), ("'no'", False), ("0", False), ("{{ x }}", None)]
)
def test_flags_are_read_as_ansible_reads_them(tmp_path: Path, text: str, flag: bool | None) -> None:
    path = written(tmp_path, f"x: {text}\n" if "{" not in text else f'x: "{text}"\n')
    assert read_globals([path]).flag("x") is flag
    assert read_globals([path]).flag("absent") is None


def test_an_encrypted_or_nested_value_is_not_a_setting_but_its_place_is_known() -> None:
    read = read_globals([GOLDEN / "before.yml"])
    assert "docker_custom_option" not in read.values
    assert "nova_hosts" not in read.values
    assert read.where["docker_custom_option"][1] == 20


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "line 3: the key a is there twice (first in line 1)"),
        ("a: 1\nx:\n  b: 2\n  b: 3\n", "line 4: the key b is there twice (first in line 3)"),
        ("a: 1\n- b\n", "line 2: not valid YAML"),
        ("a: [1\nb: 2\n", "line 2: not valid YAML"),
        ("a: 1\n\tb: 2\n", "line 2: not valid YAML"),
        ("a: 'x\n", "not valid YAML"),
        ("- a\n- b\n", "line 1: `key: value` lines are expected"),
        ("# nothing\njust words\n", "line 2: `key: value` lines are expected"),
        ("a: 1\n---\nb: 2\n", "not valid YAML: but found another document"),
        ("a: \x07\n", "line 1: not valid YAML"),
        (b"a: 1\nb: \xff\n", "line 2: not UTF-8 text"),
        ("a: *gone\n", "line 1: not valid YAML"),
        pytest.param("a: " + "[" * 5000, "not valid YAML", marks=pytest.mark.slow),
        ("$ANSIBLE_VAULT;1.1;AES256\n6162\n", "is encrypted with Ansible Vault, and no vault password file is named"),
    ],
)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, content: str | bytes, words: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        read_globals([path])
    assert str(path) in caught.value.message
    assert words in caught.value.message


def test_error_texts_never_quote_the_file(tmp_path: Path) -> None:
    path = written(tmp_path, "password: sup3rs3cret: x\n")
    with pytest.raises(ConfigError) as caught:
        read_globals([path])
    assert "sup3rs3cret" not in caught.value.message


def test_missing_and_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        globals_files(tmp_path, "2025.1")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_globals([tmp_path])


@pytest.mark.parametrize("content", ["", "# only a comment\n", "---\n", "\n\n"])
def test_an_empty_file_holds_nothing(tmp_path: Path, content: str) -> None:
    assert dict(read_globals([written(tmp_path, content)]).values) == {}


# ---------------------------------------------------------------- editing


def test_golden_edit(tmp_path: Path) -> None:
    path = written(tmp_path, (GOLDEN / "before.yml").read_bytes())
    edit = planned(path, openstack_release="2025.2", enable_redis="no", enable_valkey="yes", new_key='a "b" \\ c')
    assert edit.after.decode() == (GOLDEN / "after.yml").read_text()
    assert "\n".join(edit.diff) + "\n" == (GOLDEN / "diff.txt").read_text()


def test_the_file_that_wins_is_edited(tmp_path: Path) -> None:
    main = written(tmp_path, "a: 1\n")
    one = written(tmp_path, "a: 2\nb: 2\n", "globals.d/1.yml")
    two = written(tmp_path, "a: 3\n", "globals.d/2.yml")
    edits = plan_edit([main, one, two], {"a": "x", "b": "y", "c": "z"})
    assert [(edit.path.name, edit.keys) for edit in edits] == [
        ("globals.yml", ("c",)),
        ("1.yml", ("b",)),
        ("2.yml", ("a",)),
    ]


def test_planning_twice_is_planning_once(tmp_path: Path) -> None:
    path = written(tmp_path, "openstack_release: 2025.1\n")
    edit = planned(path, openstack_release="2025.2", other="x")
    path.write_bytes(edit.after)
    assert plan_edit([path], {"openstack_release": "2025.2", "other": "x"}) == ()


def test_an_unquoted_number_is_put_in_quotes_even_when_it_reads_the_same(tmp_path: Path) -> None:
    assert planned(written(tmp_path, "openstack_release: 2025.2\n"), openstack_release="2025.2").after == (
        b'openstack_release: "2025.2"\n'
    )


def test_line_ends_byte_order_mark_and_a_missing_last_line_end_are_kept(tmp_path: Path) -> None:
    crlf = written(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: 2\r\n")
    assert planned(crlf, a="x", c="y").after == b'\xef\xbb\xbfa: "x"\r\nb: 2\r\nc: "y"\r\n'
    open_end = written(tmp_path, b"a: 1\nb: 2")
    assert planned(open_end, b="x", c="y").after == b'a: 1\nb: "x"\nc: "y"'


def test_an_indented_file_gets_an_indented_line(tmp_path: Path) -> None:
    assert planned(written(tmp_path, "  a: 1\n  b: 2\n"), c="y").after == b'  a: 1\n  b: 2\n  c: "y"\n'


@pytest.mark.parametrize(
    ("content", "settings"),
    [
        ("a: |\n  text\n  more\n", {"a": "x"}),
        ("a: one\n  two\n", {"a": "x"}),
        ("a:\n- b\n", {"a": "x"}),
        ("a: {b: c}\n", {"a": "x"}),
        ("a: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  61\n", {"a": "x"}),
        ("a: &anchor v\nb: *anchor\n", {"a": "x"}),
        ("{a: 1}\n", {"b": "x"}),
        ("a: 1\n...\n", {"b": "x"}),
        ("a: |\n  kept", {"b": "x"}),
    ],
)
def test_what_cannot_be_changed_safely_is_refused(tmp_path: Path, content: str, settings: dict[str, str]) -> None:
    path = written(tmp_path, content)
    with pytest.raises(ConfigError) as caught:
        plan_edit([path], settings)
    assert caught.value.reason == "not-editable"
    assert path.read_text() == content


@pytest.mark.parametrize(
    "sloppy",
    [
        lambda text: text.replace("  # why", ""),
        lambda text: text.replace("# head", "# Head"),
        lambda text: text.replace("b: 2", "b: 3"),
        lambda text: text.replace("a: ", "a:  "),
        lambda text: text + "# signed\n",
        lambda text: text.replace("b: 2\n", ""),
        lambda text: "[" + text,
    ],
)
def test_an_edit_that_does_more_than_it_should_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sloppy: Callable[[str], str]
) -> None:
    """The proof does not trust the code that edits."""
    path = written(tmp_path, "# head\na: 1  # why\nb: 2\n")
    honest = globals_yml._replaced
    monkeypatch.setattr(globals_yml, "_replaced", lambda *given: sloppy(honest(*given)))
    with pytest.raises(ConfigError, match="would change more than that"):
        plan_edit([path], {"a": "x"})


def test_a_name_that_is_no_setting_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="not a name of a setting"):
        plan_edit([written(tmp_path, "a: 1\n")], {"a: 1\nb": "x"})


# ---------------------------------------------------------------- writing


def test_writing_keeps_mode_owner_link_and_a_copy(tmp_path: Path) -> None:
    real = written(tmp_path, "a: 1\n", "repo/globals.yml")
    real.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(real, 12345, 23456)
    link = tmp_path / "kolla" / "globals.yml"
    link.parent.mkdir()
    link.symlink_to(real)
    apply_edit(planned(link, a="2"), tmp_path / "keep")
    assert link.is_symlink()
    assert real.read_text() == 'a: "2"\n'
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    if os.geteuid() == 0:
        assert (real.stat().st_uid, real.stat().st_gid) == (12345, 23456)
    assert (tmp_path / "keep" / "kolla.globals.yml").read_text() == "a: 1\n"
    assert sorted(path.name for path in real.parent.iterdir()) == ["globals.yml"]


def test_writing_again_does_nothing_and_a_foreign_change_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "a: 1\n")
    edit = planned(path, a="2")
    apply_edit(edit, tmp_path / "keep")
    apply_edit(edit, tmp_path / "keep")
    assert (tmp_path / "keep" / f"{tmp_path.name}.globals.yml").read_text() == "a: 1\n"
    path.write_text("a: 9\n")
    with pytest.raises(StaleError, match="changed by somebody else"):
        apply_edit(edit, tmp_path / "keep")
    assert path.read_text() == "a: 9\n"


def test_an_earlier_copy_is_never_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path, "a: 1\n")
    for value in ("2", "3", "3"):
        for edit in plan_edit([path], {"a": value}):
            apply_edit(edit, tmp_path / "keep")
    kept = {copy.name.removeprefix(tmp_path.name): copy.read_text() for copy in (tmp_path / "keep").iterdir()}
    assert kept == {".globals.yml": "a: 1\n", ".globals.yml.1": 'a: "2"\n'}


# ---------------------------------------------------------------- properties

KEYS = st.sampled_from(["alpha", "beta", "openstack_release", "enable_x", "z9"])
PLAIN = st.sampled_from(["yes", "2025.1", "eth0", "10.0.0.1", "~", "word  two", "a#b", "http://x:1/"])
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
COMMENT = st.sampled_from(["", " # note", "   # ünïcode: [x"])


@st.composite
def yaml_files(draw: st.DrawFn) -> str:
    """Files in the manner of operators: odd spacing, comments, quotes, nested and folded values, any line end."""
    lines = [draw(st.sampled_from(["---", "# head", ""]))]
    for key in draw(st.lists(KEYS, unique=True, max_size=5)):
        space = draw(st.sampled_from([" ", "   "]))
        kind = draw(st.sampled_from(["plain", "single", "double", "empty", "list", "map", "fold", "flow"]))
        comment = draw(COMMENT)
        value = {
            "plain": f"{space}{draw(PLAIN)}{comment}",
            "single": f"{space}'{draw(PLAIN)}'{comment}",
            "double": f'{space}"{draw(PLAIN)}"{comment}',
            "empty": comment or "",
            "list": "\n- 1\n-   b",
            "map": "\n     deep:   x # c\n     other: 'y'",
            "fold": " >\n  folded\n  text",
            "flow": " { x: 1,y : [2,  3] }",
        }[kind]
        lines += [f"{key}:{value}", *draw(st.lists(st.sampled_from(["", "# between", "#key: value"]), max_size=2))]
    text = "\n".join(lines) + draw(st.sampled_from(["\n", "", "\n\n"]))
    return text.replace("\n", draw(st.sampled_from(["\n", "\r\n"])))


@given(text=yaml_files(), settings=st.dictionaries(KEYS, TEXT, min_size=1, max_size=3))
def test_only_the_intended_keys_and_lines_change(
    tmp_path_factory: pytest.TempPathFactory, text: str, settings: dict[str, str]
) -> None:
    folder = tmp_path_factory.mktemp("globals")
    path = written(folder, text)
    old = yaml.load(text, yaml.BaseLoader) or {}  # noqa: S506 - an independent reader of plain text
    try:
        edits = plan_edit([path], settings)
    except ConfigError as error:
        assert error.reason == "not-editable"
        assert any(isinstance(old.get(key), list | dict) or "\n" in str(old.get(key)) for key in settings) or (
            ">" in text and not text.endswith("\n")
        )
        return
    after = edits[0].after.decode() if edits else text
    assert yaml.load(after, yaml.BaseLoader) == old | settings  # noqa: S506
    loaded = yaml.safe_load(after)
    assert all(isinstance(loaded[key], str) or settings[key] in ("yes",) for key in settings)
    touched = tuple(f"{key}:" for key in settings)
    untouched = [line for line in text.splitlines(keepends=True) if not line.startswith(touched)]
    kept = [line for line in after.splitlines(keepends=True) if not line.startswith(touched)]
    assert [line.rstrip("\r\n") for line in kept] == [line.rstrip("\r\n") for line in untouched]
    path.write_bytes(after.encode())
    assert plan_edit([path], settings) == ()
