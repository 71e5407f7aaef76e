from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upgrader.graph import load_graph
from upgrader.kolla.globals_yml import Globals
from upgrader.kolla.images import (
    ImageReference,
    expected_reference,
    image_tag,
    parse_reference,
    release_of,
    service_of,
)

SHA = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "registry:4000/kolla/keystone:2025.1-debian-bookworm",
            ("registry:4000", "kolla", "keystone", "2025.1-debian-bookworm", ""),
        ),
        ("quay.io/openstack.kolla/nova-api:2025.1", ("quay.io", "openstack.kolla", "nova-api", "2025.1", "")),
        (f"quay.io/a/b/nova:2025.1@{SHA}", ("quay.io", "a/b", "nova", "2025.1", SHA)),
        (f"[::1]:5000/kolla/cron@{SHA}", ("[::1]:5000", "kolla", "cron", "", SHA)),
        ("kolla/cron:2024.1", ("", "kolla", "cron", "2024.1", "")),
        ("localhost/kolla/cron", ("localhost", "kolla", "cron", "", "")),
        ("cron", ("", "", "cron", "", "")),
        (SHA, ("", "", "", "", SHA)),
        ("registry:4000/cron", ("registry:4000", "", "cron", "", "")),
        ("", ("", "", "", "", "")),
    ],
)
def test_references_are_taken_apart(text: str, parts: tuple[str, ...]) -> None:
    found = parse_reference(text)
    assert (found.registry, found.namespace, found.name, found.tag, found.digest) == parts


WORD = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)


@given(
    registry=st.sampled_from(["", "quay.io", "reg:4000", "localhost", "10.0.0.1:5000"]),
    namespace=st.lists(WORD, max_size=2).map("/".join),
    name=st.from_regex(r"[a-z][a-z0-9-]{0,12}", fullmatch=True),
    tag=st.one_of(st.just(""), st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)),
    digest=st.sampled_from(["", SHA]),
)
def test_a_reference_put_together_is_taken_apart_the_same(
    registry: str, namespace: str, name: str, tag: str, digest: str
) -> None:
    if namespace.startswith("localhost"):
        return
    made = ImageReference(name, registry, namespace, tag, digest)
    assert parse_reference(str(made)) == made


@given(st.text(max_size=60))
def test_any_text_is_taken_apart_without_an_error(text: str) -> None:
    parse_reference(text)


def settings(**values: str) -> Globals:
    return Globals(values, {})


def test_expected_references_follow_the_settings() -> None:
    bases = {"rocky": "9", "debian": "bookworm"}
    assert str(expected_reference("nova-api", "2025.1", settings(), bases)) == (
        "quay.io/openstack.kolla/nova-api:2025.1-rocky-9"
    )
    own = settings(
        docker_registry="reg:4000", docker_namespace="kolla", kolla_base_distro="debian", openstack_tag_suffix="-lab",
        docker_image_name_prefix="our-",
    )  # fmt: skip
    assert str(expected_reference("cron", "2025.1", own, bases)) == "reg:4000/kolla/our-cron:2025.1-debian-bookworm-lab"
    assert str(expected_reference("cron", "2024.1", own, bases)) == "reg:4000/kolla/cron:2024.1-debian-bookworm-lab"
    assert str(expected_reference("cron", "2025.1", settings(docker_registry="", openstack_tag="mine"), bases)) == (
        "openstack.kolla/cron:mine"
    )


@pytest.mark.parametrize(
    "key", ["docker_registry", "openstack_tag", "openstack_tag_suffix", "kolla_base_distro_version"]
)
def test_an_expression_is_not_guessed(key: str) -> None:
    assert expected_reference("cron", "2025.1", settings(**{key: "{{ x }}"}), {"rocky": "9"}) is None


def test_an_unknown_distribution_gives_no_tag() -> None:
    assert image_tag("2025.1", settings(kolla_base_distro="arch"), {"rocky": "9"}) == ""


def test_tags_of_the_graphs_own_examples() -> None:
    for identity in ("2024.1", "2025.2", "2026.1"):
        release = load_graph().release(identity)
        for example in release.image_tag.examples:
            assert release_of(ImageReference("x", tag=example)) == identity
            distro = example.split("-")[1]
            if distro in dict(release.base_images):
                assert image_tag(identity, settings(kolla_base_distro=distro), dict(release.base_images)) == example


@pytest.mark.parametrize("tag", ["", "latest", "master-debian", "20251", "v2025.1", "2025.3-rocky-9", "2025.10"])
def test_a_private_tag_names_no_release(tag: str) -> None:
    assert release_of(ImageReference("x", tag=tag)) is None


@pytest.mark.parametrize(
    ("image", "service"),
    [
        ("nova-api", "nova"), ("keystone", "keystone"), ("keystone-fernet", "keystone"), ("mariadb-server", "mariadb"),
        ("kolla-toolbox", "kolla-toolbox"), ("prometheus-v2-server", "prometheus"), ("ovn-nb-db-server", "ovn"),
        ("openvswitch-db-server", "openvswitch"),
    ],
)  # fmt: skip
def test_the_service_of_an_image(image: str, service: str) -> None:
    assert service_of(image) == service
