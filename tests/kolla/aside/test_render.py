"""The plug-ins at work in a real ansible-core, on a small site.yml that tries everything it must not do."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from upgrader.kolla.aside.render import Rendering, render
from upgrader.kolla.toolchain import Toolchain
from upgrader.runner.ansible import AnsibleRunner

SITE_YML = """
- hosts: all
  gather_facts: false
  tasks:
    - group_by: {key: "kolla_action_{{ kolla_action }}"}
    - setup:
      when: not ansible_facts
- hosts: kolla_action_config
  gather_facts: false
  roles: [svc]
- hosts: all
  gather_facts: false
  tasks:
    - name: The play goes on
      copy: {content: "end of {{ inventory_hostname }}", dest: "{{ node_config_directory }}/end/x"}
"""

TASKS = """
- name: Folder
  file: {path: "{{ node_config_directory }}/{{ item }}", state: directory, owner: root, group: nobody}
  become: true
  with_items: [svc]
- name: Template
  template: {src: svc.conf.j2, dest: "{{ node_config_directory }}/svc/svc.conf", mode: "0660"}
  become: true
  notify: Restart svc
- name: First found
  template: {src: "{{ item }}", dest: "{{ node_config_directory }}/svc/found.conf"}
  with_first_found: ["{{ node_config }}/absent.conf", svc.conf.j2]
- name: Elsewhere
  template: {src: svc.conf.j2, dest: "{{ forbidden }}/template"}
- name: Out of the folder
  copy: {content: x, dest: "{{ node_config_directory }}/../../../../forbidden/up"}
- name: Through a link
  copy: {content: x, dest: "{{ node_config_directory }}/svc/link/down"}
- name: Shell
  shell: "touch {{ forbidden }}/shell"
- name: Command here
  command: "touch {{ forbidden }}/command"
  delegate_to: localhost
- name: Module
  get_url: {url: "http://192.0.2.1/", dest: "{{ forbidden }}/url"}
- name: File
  file: {path: "{{ forbidden }}/file", state: touch}
- name: Line
  lineinfile: {path: "{{ forbidden }}/line", line: x, create: true}
- name: Waits
  command: "false"
  register: waited
  until: waited.stdout == "never"
  retries: 100
  delay: 100
- name: Asked of a host
  stat: {path: /etc/passwd}
  register: passwd
- name: Asked here
  stat: {path: /etc/passwd}
  delegate_to: localhost
  register: own
- name: What was learnt
  copy:
    content: "{{ passwd.stat.exists }} {{ own.stat.exists }}"
    dest: "{{ node_config_directory }}/svc/learnt"
- name: Hidden
  copy: {content: "hush", dest: "{{ node_config_directory }}/svc/hidden"}
  no_log: true
- name: Cannot be rendered
  template: {src: broken.j2, dest: "{{ node_config_directory }}/svc/broken"}
- name: Refused
  fail: {msg: "this cloud cannot"}
"""

HANDLERS = """
- name: Restart svc
  shell: "touch {{ forbidden }}/handler"
"""


@dataclass(frozen=True)
class Small:
    config_dir: Path
    inventory: Path
    passwords: Path
    extra_vars: tuple[Path, ...] = ()
    vault_password_file: Path | None = None
    forks: int = 4


@pytest.fixture
def tools(tmp_path: Path) -> Toolchain:
    made = Toolchain("2025.2", tmp_path / "toolchain")
    made.bin.mkdir(parents=True)
    code = "import sys; from ansible.cli.playbook import main; sys.argv[0] = 'ansible-playbook'; main()"
    made.ansible_playbook.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    made.python.symlink_to(sys.executable)
    made.ansible_playbook.chmod(0o755)
    role = made.playbooks / "roles" / "svc"
    for folder, name, text in (
        ("tasks", "main.yml", TASKS),
        ("handlers", "main.yml", HANDLERS),
        (
            "templates",
            "svc.conf.j2",
            "{{ ansible_facts.hostname }} {{ hostvars['h2'].ansible_facts.hostname }} {{ a }}\n",
        ),
        ("templates", "broken.j2", "{{ nobody_knows }}"),
    ):
        (role / folder).mkdir(parents=True, exist_ok=True)
        (role / folder / name).write_text(text)
    made.site_yml.write_text(SITE_YML)
    return made


@pytest.fixture
def site(tmp_path: Path) -> Small:
    folder = tmp_path / "kolla"
    folder.mkdir()
    (folder / "globals.yml").write_text(f"forbidden: {tmp_path / 'forbidden'}\n")
    (folder / "passwords.yml").write_text("a: canary-of-a\n")
    # addresses of RFC 5737: nothing answers there, so a connection would fail
    (folder / "hosts").write_text("h1 ansible_host=192.0.2.1\nh2 ansible_host=192.0.2.2 ansible_become=true\n")
    return Small(folder, folder / "hosts", folder / "passwords.yml")


@pytest.fixture
def rendered(tmp_path: Path, site: Small, tools: Toolchain) -> Rendering:
    (tmp_path / "forbidden").mkdir()
    facts = tmp_path / "facts"
    facts.mkdir()
    for host in ("h1", "h2"):
        (facts / f"{host}.json").write_text(json.dumps({"ansible_hostname": f"name-of-{host}"}))
    passwords = tmp_path / "placeholders.yml"
    passwords.write_text("a: PASSWORD_a\n")
    link = tmp_path / "work" / "files" / "h1" / "svc"
    folder = tmp_path / "work"

    class Linking(AnsibleRunner):
        def run(self, *given: object, **more: object) -> object:  # type: ignore[override]
            link.mkdir(parents=True)
            (link / "link").symlink_to(tmp_path / "forbidden")
            return super().run(*given, **more)  # type: ignore[arg-type]

    return render(site, tools, Linking(), folder, hosts=["h1"], facts=facts, passwords=passwords)


@pytest.mark.slow
def test_files_are_rendered_and_nothing_else_is_done(rendered: Rendering, tmp_path: Path) -> None:
    assert rendered.error == ""
    assert list((tmp_path / "forbidden").iterdir()) == [], "nothing was done outside"
    files = {str(file.relative_to(rendered.root)) for file in rendered.root.rglob("*") if file.is_file()}
    assert files == {f"h1/{name}" for name in ("svc/svc.conf", "svc/found.conf", "svc/learnt", "svc/hidden", "end/x")}
    assert (rendered.root / "h1/svc/svc.conf").read_text() == "name-of-h1 name-of-h2 PASSWORD_a\n"
    assert (rendered.root / "h1/svc/learnt").read_text() == "False True", "a host's own files are not looked at here"
    assert rendered.secret == (str(rendered.root / "h1/svc/hidden"),)
    told = "\n".join(rendered.left_out)
    for task in ("Elsewhere", "Out of the folder", "Through a link", "Shell", "Command here", "Module", "File", "Line"):
        assert f"svc: {task} (" in told
    assert "Restart svc" in told, "handlers too"
    assert sorted(line.split(":")[-1].strip() for line in rendered.failed if "Refused" in line) == ["this cloud cannot"]
    assert any("Cannot be rendered" in line for line in rendered.failed)
