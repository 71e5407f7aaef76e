"""What a document says of a plan: everything the board asks for, and nothing that nobody knows."""

from __future__ import annotations

import re
import tomllib
from dataclasses import replace

from tests.runbook.made import SITE, Sample, a_site, blocked, forward_only, paper, site_plan, two_hops
from upgrader.model import Code, Finding, Plan
from upgrader.runbook.build import Given, document
from upgrader.runbook.commands import Typist
from upgrader.runbook.document import Downtime, Span
from upgrader.runbook.render import render
from upgrader.runbook.templates import Templates, shipped
from upgrader.states import FORWARD, State

CANARY = "kanarienvogel-7f3a"


def hosts(made: Plan, count: int, name: str = "cmp{:03}") -> Plan:
    rows = tuple((name.format(number), ("compute",)) for number in range(count))
    return made.model_copy(update={"hosts": rows})


def test_all_chapters_are_there_and_numbered_in_order() -> None:
    for sample in (two_hops(), forward_only()):
        text = sample.render("md")
        numbers = [int(number) for number in re.findall(r"^## (\d+)\. ", text, re.MULTILINE)]
        assert numbers == list(range(1, len(numbers) + 1))
        for words in (
            "Purpose and scope",
            "Site and path",
            "Schedule",
            "Before, in and after the window",
            "Go / no-go",
        ):
            assert f". {words}\n" in text
        for words in (
            "Prerequisites and open findings",
            "Contacts and escalation",
            "Messages",
            "Incident pages",
            "Sign-off",
        ):
            assert f". {words}\n" in text
        assert sample.plan.sha256 in text


def test_stages_are_those_of_the_plan_in_its_order() -> None:
    for hop, page in zip(two_hops().plan.hops, two_hops().document.hops, strict=True):
        assert [stage.name for stage in page.stages] == [stage.name for stage in hop.stages]
        assert {stage.name for stage in page.stages} <= {state.value for state in FORWARD}


def test_the_line_of_no_return_stands_right_before_the_upgrade() -> None:
    text = two_hops().render("md")
    for hop in (1, 2):
        here = text[text.index(f"## {6 + hop}. Hop {hop} of 2") :]
        line, upgrade = here.index("POINT OF NO RETURN"), re.search(rf"^### {hop}\.\d+ Upgrade$", here, re.MULTILINE)
        assert upgrade is not None
        assert 0 < upgrade.start() - line < 700
        assert "Backup" in here[:line]
    assert text.count("▲▲▲ POINT OF NO RETURN ▲▲▲") == 2


def test_a_hop_without_a_point_of_no_return_has_no_line() -> None:
    made = two_hops()
    harmless = made.plan.hops[0].model_copy(update={"ponr": ""})
    only = made.plan.model_copy(update={"hops": (harmless,)})
    text = Sample(only, made.site).render("md")
    assert "POINT OF NO RETURN" not in text
    assert "passes no point of no return" in text


def test_what_only_goes_forward_is_named_below_the_line() -> None:
    made = forward_only()
    assert made.document.hops[0].crossed_by[0][0] == "forward-only"
    assert "Below it, forward-only: dropped-drivers" in made.render("md")


def test_a_blocked_plan_says_so_first() -> None:
    made = blocked()
    blockers = made.plan.blockers
    assert blockers
    for kind in ("md", "html"):
        text = made.render(kind)  # type: ignore[arg-type]
        assert "BLOCKED" in text[: text.index("Purpose and scope")]
    text = made.render("md")
    chapter = text[text.index("Prerequisites and open findings") : text.index("Go / no-go\n")]
    assert f"Blocks ({len(blockers)})" in chapter
    assert all(finding.id in chapter for finding in blockers)


def test_accepted_risks_name_who_and_why() -> None:
    text = two_hops().render("md")
    assert "accepted by anna: looked at, settled by hand on 2026-11-20" in text
    assert "READY FOR A DECISION" in text


def test_times_say_where_they_come_from_and_unknown_ones_say_so() -> None:
    text = two_hops().render("md")
    assert "| Upgrade | in the window | 22:07 | 28 min | 21 min – 49 min | rehearsal (2 samples) |" in text  # noqa: RUF001
    assert "history (5 samples)" in text
    assert "assumed figures, not measured on any production cloud" in text
    nothing = document(two_hops().plan, two_hops().site)
    bare = render(nothing, Templates(), "md", typist=Typist(two_hops().site))
    assert "| Upgrade | in the window | – | – | – | nobody knows |" in bare  # noqa: RUF001
    assert nothing.hops[0].picture == ""


def test_downtime_is_told_with_its_source_or_as_unknown() -> None:
    made = two_hops()
    assert "Not known: the APIs of this cloud were never asked" in made.render("md")
    known = Given(downtimes={"2024.1→2024.2": (Downtime("keystone", Span(18, 17, 19, "history", 1, "run 1234")),)})
    text = render(document(made.plan, made.site, known), Templates(), "md", typist=Typist(made.site))
    assert "| keystone | 18 s (17 s – 19 s) | history: run 1234 |" in text  # noqa: RUF001
    assert text.count("Not known: the APIs of this cloud") == 1


def test_a_window_that_is_too_short_is_told() -> None:
    made = two_hops()
    short = tuple(replace(opening, seconds=3600) for opening in made.openings)
    assert "do NOT fit into it" in replace(made, openings=short).render("md")
    assert "do NOT fit" not in made.render("md")


def test_a_window_in_a_freeze_is_told() -> None:
    site = a_site(
        '[[contacts]]\nname = "x"\n',
        SITE.replace("[window]", '[window]\nfreeze = [{ from = "2026-12-04", to = "2026-12-06", why = "sale" }]'),
    )
    assert "**It opens in a freeze: sale.**" in replace(two_hops(), site=site).render("md")
    assert "It opens in a freeze" not in two_hops().render("md")


def test_the_sites_own_rule_of_windows_is_told() -> None:
    assert "Change windows of this site: every Sat 22:00 for 8 h, Europe/Berlin." in two_hops().render("md")


def test_contacts_come_in_the_order_of_escalation() -> None:
    text = two_hops().render("md")
    rows = re.findall(r"^\| (\d) \| ([^|]+) \|", text, re.MULTILINE)
    assert rows == [("1", "Anna Berg"), ("2", "Jo Lind"), ("3", "On-call platform team")]


def test_a_site_without_contacts_leaves_room_for_them() -> None:
    site = replace(a_site(), runbook=replace(a_site().runbook, contacts=()))
    text = Sample(site_plan("2024.1", "2024.2"), site).render("md")
    assert "The site names nobody." in text


def test_no_secret_and_no_login_reaches_a_document() -> None:
    site = a_site()
    evil = f'amqp://nova:{CANARY}@ctl1 and database_password: "{CANARY}"'
    finding = Finding(id="x", code=Code.FAILURE, message=evil, evidence=evil, next=evil, why=evil, fix=(evil,))
    made = site_plan("2024.1", "2024.2", site=site).model_copy(update={"findings": (finding,)})
    for kind in ("md", "html"):
        text = Sample(made, site).render(kind)  # type: ignore[arg-type]
        assert "********" in text
        assert CANARY not in text


def test_hostile_names_are_text_everywhere() -> None:
    evil = "<img src=x onerror=alert(1)>|`$(rm)`\u202e\x1b[2J"
    made = hosts(site_plan("2024.1", "2024.2"), 2, evil + "{}")
    finding = Finding(id="x", code=Code.FAILURE, message=f"{evil} is down", host=evil, next=f"upgrader check {evil}")
    contact = replace(a_site().runbook.contacts[0], name=evil, mail="](javascript:x)")
    site = replace(a_site(), runbook=replace(a_site().runbook, contacts=(contact,)))
    sample = Sample(made.model_copy(update={"findings": (finding,)}), site)
    html, text = sample.render("html"), sample.render("md")
    assert "<img" not in html
    assert "\u202e" not in html + text
    assert "\x1b" not in html + text
    assert "\\u202e" in html
    from tests.runbook.test_escape import READER

    assert "<img" not in READER.render(text)
    assert 'href="javascript' not in READER.render(text)


def test_400_hosts_are_listed_and_the_page_stays_small() -> None:
    sample = Sample(hosts(site_plan("2024.1", "2025.1"), 400), a_site())
    html = sample.render("html")
    assert "cmp000" in html
    assert "cmp399" in html
    assert len(html.encode()) < 1_000_000


def test_a_paper_plan_claims_nothing_of_a_cloud() -> None:
    text = Sample(paper("2025.1", "2025.2")).render("md")
    assert "PAPER PLAN" in text
    assert "no cloud was looked at" in text
    assert "--site" not in text


def test_translations_speak_of_words_that_there_are() -> None:
    """A string whose English changed would silently stay English."""
    pages = "".join(path.read_text() for path in shipped().glob("page.*.j2"))
    code = "".join(path.read_text() for path in (shipped().parent / "upgrader" / "runbook").glob("*.py"))
    computed = {"nothing", "redeploy", "restore", "forward-only", "baseline", "history", "rehearsal"}
    for path in shipped().glob("*/strings.toml"):
        unused = [key for key in tomllib.loads(path.read_text()) if f'"{key}"' not in pages + code]
        assert set(unused) - computed == set(), path
        for key, value in tomllib.loads(path.read_text()).items():
            assert set(re.findall(r"\{\w+\}", key)) == set(re.findall(r"\{\w+\}", value)), key


def test_german_pages_hold_no_english_of_the_pages() -> None:
    made = two_hops("de").render("md")
    before_incidents = made[: made.index("Störungsseiten")]
    for words in ("It worked when", "By hand", "in the window", "Way back", "nobody knows"):
        assert words not in before_incidents


def test_every_way_of_the_law_has_a_page() -> None:
    from upgrader.states import INFO

    ways = {INFO[state].way_back for state in State}
    assert ways == {path.name.removesuffix(".md.j2") for path in (shipped() / "en" / "ways").iterdir()}
