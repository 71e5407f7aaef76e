"""Image references: taking them apart, and which one a release's playbooks would use.

The form is that of the role defaults (`docker_registry/docker_namespace/docker_image_name_prefix + name:tag`) and of
`openstack_tag` in group_vars: `<openstack_release>-<kolla_base_distro>-<kolla_base_distro_version><suffix>`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from upgrader.kolla.globals_yml import Globals

_DEFAULTS = {
    # group_vars/all of 18.8.0, 19.8.0, 20.6.0, 21.3.0 and 22.2.0 agree on these
    "docker_registry": "quay.io",
    "docker_namespace": "openstack.kolla",
    "docker_image_name_prefix": "",
    "kolla_base_distro": "rocky",
    "openstack_tag_suffix": "",
}
_PREFIX_SINCE = "2024.2"
"""`docker_image_name_prefix` is there from kolla-ansible 19 on."""
_DIGEST = re.compile(r"(?:@|^)([a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,})$")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True, slots=True)
class ImageReference:
    """`registry/namespace/name:tag@digest`, every part but the name possibly empty."""

    name: str
    registry: str = ""
    """Host and port."""
    namespace: str = ""
    tag: str = ""
    digest: str = ""

    def __str__(self) -> str:
        path = "/".join(part for part in (self.registry, self.namespace, self.name) if part)
        return path + (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    @property
    def repository(self) -> str:
        """Everything but tag and digest."""
        return "/".join(part for part in (self.registry, self.namespace, self.name) if part)


def parse_reference(text: str) -> ImageReference:
    """Take a reference apart as container engines do; never fails. A bare digest has no name.

    The first part is a registry only when it has a dot or a port, or is `localhost`.
    """
    text = text.strip()
    digest = ""
    match = _DIGEST.search(text)
    if match:
        digest, text = match[1], text[: match.start()]
    head, _slash, last = text.rpartition("/")
    name, _colon, tag = last.partition(":")
    if tag and not _TAG.fullmatch(tag):
        name, tag = last, ""
    first, _slash, rest = head.partition("/")
    if "." in first or ":" in first or first == "localhost":
        return ImageReference(name, first, rest, tag, digest)
    return ImageReference(name, "", head, tag, digest)


def image_tag(release: str, settings: Globals, base_versions: Mapping[str, str]) -> str:
    """`openstack_tag` as the release's group_vars build it; empty when a setting is an expression.

    `base_versions` is the release's default version of each distribution (`base_images` of the release graph).
    """
    written = settings.get("openstack_tag")
    if written:
        return "" if "{{" in written else written
    distro = _setting(settings, "kolla_base_distro")
    version = settings.get("kolla_base_distro_version") or base_versions.get(distro, "")
    parts = (release, distro, version, _setting(settings, "openstack_tag_suffix"))
    if not version or any("{{" in part for part in parts):
        return ""
    return f"{release}-{distro}-{version}{parts[3]}"


def expected_reference(
    image: str, release: str, settings: Globals, base_versions: Mapping[str, str]
) -> ImageReference | None:
    """The reference that the release's playbooks give the image `image` (`nova-api`), for the site's settings.

    None when a setting is an expression that only Ansible can evaluate. Overrides of single images
    (`nova_api_image`, `nova_tag`) are not looked at.
    """
    registry, namespace = _setting(settings, "docker_registry"), _setting(settings, "docker_namespace")
    prefix = _setting(settings, "docker_image_name_prefix") if release >= _PREFIX_SINCE else ""
    tag = image_tag(release, settings, base_versions)
    if not tag or any("{{" in part for part in (registry, namespace, prefix)):
        return None
    path = "/".join(part for part in (registry, namespace, prefix + image) if part)
    return parse_reference(f"{path}:{tag}")


def service_of(image: str) -> str:
    """Project a Kolla image belongs to, from its name: `nova-api` → `nova`, `prometheus-v2-server` → `prometheus`.

    Images of components without parts (`mariadb-server`, `kolla-toolbox`) keep their usual names.
    """
    for whole in _WHOLE:
        if image == whole or image.startswith(f"{whole}-"):
            return whole
    return image.partition("-")[0]


_WHOLE = ("kolla-toolbox", "ceph-rgw", "ovn", "openvswitch", "mariadb", "letsencrypt", "prometheus", "valkey", "redis")


def _setting(settings: Globals, key: str) -> str:
    return settings.values[key] if key in settings.values else _DEFAULTS[key]


def release_of(reference: ImageReference) -> str | None:
    """Release that the tag names; None when it names none (a digest, a private tag, `latest`): then it is asked for."""
    from upgrader.graph.images import image_tag_release

    return image_tag_release(reference.tag)
