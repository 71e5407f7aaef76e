"""A trial of the cloud as its users use it: `- smoke URL USER PROJECT`; prints one JSON line.

The admin's password comes as OS_PASSWORD, what is to be done as UPGRADER_SMOKE (JSON), both in the environment. Makes a
project with a member user of its own, works as that user, and removes all of it, also what an interrupted trial left.
Everything it makes bears NAME and, where there is room, MARK; nothing else is ever changed. Exit code 0 also for
refusals: they are in the line. The texts of calls.py and things.py stand in front of it.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any
if __package__:
    from upgrader.smoke.inside.calls import NOT_YET, PAUSE, Api, OutOfTime, Refused
    from upgrader.smoke.inside.things import COMPUTE, MARK, TYPES, Things, Unfit, address_of

_IMAGE_BYTES = 256 * 1024
_GLANCE_AT = 20.0
"""Seconds for a service to say anything at all."""
_CLEANING = 120.0
"""Seconds for removing, beyond the time of the trial itself."""


class Trial:
    """What is asked, what it came to, and what was made and has to go again.

    `wish`: `mode` (full or read-only), `runs` (what the cloud runs: glance, nova, nova-compute, neutron, cinder),
    `limit` and `server` (seconds), `flavor`.
    """

    def __init__(self, url: str, user: str, project: str, wish: dict[str, Any]) -> None:
        self.wish = wish
        self.began = time.monotonic()
        self.steps: list[dict[str, Any]] = []
        base = url.rstrip("/")
        base = base if base.endswith("/v3") else base + "/v3"
        self.admin = Api(base, self.began + float(wish["limit"]))
        self.member = Api(base, self.admin.deadline)
        self.account = (user, os.environ.get("OS_PASSWORD", ""), project)
        self.things = Things(self.admin, wish)
        self.server = ""

    # ------------------------------------------------------------ steps

    def step(self, name: str, work: Callable[[], str], *, who: str = "admin") -> bool:
        """Do one step; its answer is `ok` true, false, or null where it could not be tried."""
        began = time.monotonic()
        ok: bool | None = False
        try:
            words, ok = work(), True
        except Unfit as unfit:
            words, ok = str(unfit), None
        except OutOfTime as late:
            words, ok = str(late), None
        except Refused as refused:
            words = str(refused)
        except (KeyError, TypeError, IndexError, AttributeError) as odd:
            words = f"an answer that cannot be read ({type(odd).__name__}: {odd})"
        seconds = round(time.monotonic() - began, 1)
        self.steps.append({"step": name, "who": who, "ok": ok, "words": words, "seconds": seconds})
        return ok is True

    def skip(self, name: str, words: str) -> None:
        self.steps.append({"step": name, "who": "", "ok": None, "words": words, "skipped": True, "seconds": 0})

    def run(self) -> None:
        if not self.step("token", self._admin_token):
            return
        self.step("catalogue", self._catalogue)
        for service in sorted(self.admin.catalogue, key=lambda one: str(one["type"])):
            self.step(f"answers-{service['type']}", lambda service=service: self._answers(service))  # type: ignore[misc]
        if self.wish["mode"] != "full":
            self._reads(self.admin, "admin")
            return
        if not self.step("leftovers", self.things.leftovers):
            return
        try:
            if self.step("member", self._member) and self.step("token-member", self._member_token, who="member"):
                self._reads(self.member, "member")
                self._makes()
        finally:
            self.admin.deadline = self.member.deadline = time.monotonic() + _CLEANING
            self.step("removed", self.things.remove)

    def _admin_token(self) -> str:
        self.admin.login(*self.account)
        return f"a token with {len(self.admin.catalogue)} services in its catalogue"

    def _catalogue(self) -> str:
        lacking = [kind for kind in self.wish["runs"] if kind in TYPES and not self.admin.endpoint(TYPES[kind])]
        if lacking:
            raise Refused(200, f"there is no endpoint of {', '.join(lacking)} in it")
        return ", ".join(sorted(str(one["type"]) for one in self.admin.catalogue)) or "it is empty"

    def _answers(self, service: dict[str, Any]) -> str:
        """A service of the catalogue answers, whatever it says: a load balancer without servers says 503."""
        url = self.admin.endpoint((service["type"],))
        if not url:
            raise Unfit("it has neither an internal nor a public endpoint")
        try:
            # an address that is none of this cloud's own must not cost minutes
            self.admin.request("GET", url + "/", binary=True, patient=True, seconds=_GLANCE_AT)
        except Refused as refused:
            if refused.status in NOT_YET:
                raise
            return f"status {refused.status}"
        return "answers"

    def _reads(self, api: Api, who: str) -> None:
        for kind, work in (("glance", self._images), ("nova", self._servers)):
            if kind in self.wish["runs"]:
                self.step(f"list-{kind}", lambda work=work: work(api), who=who)  # type: ignore[misc]
        for kind, work in (
            ("nova", self._nova_quota),
            ("neutron", self._neutron_quota),
            ("cinder", self._cinder_quota),
        ):
            if kind in self.wish["runs"]:
                self.step(f"quota-{kind}", lambda work=work: work(api), who=who)  # type: ignore[misc]

    def _images(self, api: Api) -> str:
        found = api.get(address_of(api, "glance") + "/v2/images?limit=5", patient=True)
        return f"{len(found['images'])} images on its first page"

    def _servers(self, api: Api) -> str:
        found = api.get(address_of(api, "nova") + "/servers?limit=5", headers=COMPUTE, patient=True)
        return f"{len(found['servers'])} servers on its first page"

    def _nova_quota(self, api: Api) -> str:
        url = f"{address_of(api, 'nova')}/os-quota-sets/{api.project}"
        said = api.get(url, headers=COMPUTE, patient=True)["quota_set"]
        return f"{said['instances']} instances, {said['cores']} cores"

    def _neutron_quota(self, api: Api) -> str:
        """As a member where the policy lets one; it is for admins alone in Neutron's own."""
        url = f"{address_of(api, 'neutron')}/v2.0/quotas/{api.project}"
        try:
            said = api.get(url, patient=True)
        except Refused as refused:
            if refused.status not in (403, 404):
                raise
            said = self.admin.get(url, patient=True)
        return f"{said['quota']['network']} networks, {said['quota']['port']} ports"

    def _cinder_quota(self, api: Api) -> str:
        said = api.get(f"{address_of(api, 'cinder')}/os-quota-sets/{api.project}", patient=True)["quota_set"]
        return f"{said['volumes']} volumes, {said['gigabytes']} GB"

    # ------------------------------------------------------------ the account

    def _member(self) -> str:
        """A project with one user who may do what any user may."""
        keystone = self.admin.keystone
        roles = self.admin.get(keystone + "/roles")["roles"]
        role = next((one["id"] for one in roles if one["name"] in ("member", "Member", "_member_")), "")
        if not role:
            raise Unfit("this Keystone has no role member")
        about = {"name": self.things.name, "domain_id": "default", "description": MARK, "enabled": True}
        project = self.things.make("project", keystone + "/projects", {"project": about})["project"]["id"]
        # whatever a site asks of passwords, and nobody is told it
        self.secret = f"Aa1!{secrets.token_urlsafe(32)}"
        options = {"ignore_change_password_upon_first_use": True, "ignore_password_expiry": True}
        user = {**about, "password": self.secret, "default_project_id": project, "options": options}
        made = self.things.make("user", keystone + "/users", {"user": user})["user"]["id"]
        self.admin.request("PUT", f"{keystone}/projects/{project}/users/{made}/roles/{role}")
        self.ids = (made, project)
        return f"user and project {self.things.name}"

    def _member_token(self) -> str:
        self.member.login(self.ids[0], self.secret, self.ids[1], by_id=True)
        if "admin" in self.member.roles:
            raise Refused(200, "a new member has the role admin")
        return f"a token with the roles {', '.join(sorted(self.member.roles))}"

    # ------------------------------------------------------------ things

    def _makes(self) -> None:
        runs = self.wish["runs"]
        if "glance" not in runs:
            self.skip("image", "Glance does not run here")
            self.skip("server", "Glance does not run here" if "nova" in runs else "Nova does not run here")
            return
        content = os.urandom(_IMAGE_BYTES)
        good = self.step("image", lambda: self._image(content), who="member")
        if good:
            good = self.step("image-download", lambda: self._download(content), who="member")
        if "nova" not in runs:
            self.skip("server", "Nova does not run here")
        elif "nova-compute" not in runs:
            self.skip("server", "no host runs nova_compute")
        elif not good:
            self.skip("server", "there is no image to make it from")
        elif self.step("server", self._server, who="member"):
            self.step("server-delete", self._server_delete, who="member")
        if any(kind == "image" for kind, _, _ in self.things.made):
            self.step("image-delete", self._image_delete, who="member")

    def _image(self, content: bytes) -> str:
        url = address_of(self.member, "glance") + "/v2/images"
        about = {"name": self.things.name, "disk_format": "raw", "container_format": "bare", "visibility": "private"}
        said = self.things.make("image", url, {**about, "min_disk": 0, "min_ram": 0}, self.member)
        self.image = said["id"]
        kind = {"Content-Type": "application/octet-stream"}
        self.member.request("PUT", f"{url}/{self.image}/file", raw=content, headers=kind, binary=True)
        found = self.member.get(f"{url}/{self.image}")
        if found["status"] != "active":
            raise Refused(200, f"the image is {found['status']} after the upload")
        told = found.get("os_hash_value")
        if found.get("os_hash_algo") == "sha512" and told != hashlib.sha512(content).hexdigest():
            raise Refused(200, "the checksum of the image is not that of what was uploaded")
        return f"{len(content) // 1024} KiB uploaded"

    def _download(self, content: bytes) -> str:
        url = f"{address_of(self.member, 'glance')}/v2/images/{self.image}/file"
        found = self.member.request("GET", url, binary=True)[1]
        if found != content:
            raise Refused(200, f"{len(found)} bytes came back that are not the {len(content)} uploaded")
        return f"{len(found) // 1024} KiB downloaded, the same"

    def _image_delete(self) -> str:
        url = address_of(self.member, "glance") + "/v2/images"
        self.member.request("DELETE", f"{url}/{self.image}", binary=True)
        self.things.gone("image", self.image)
        return self.things.until_gone(self.member, f"{url}/{self.image}", 60.0)

    def _flavor(self, nova: str) -> str:
        wanted = str(self.wish.get("flavor") or "")
        if wanted:
            found = self.admin.get(f"{nova}/flavors?is_public=None", headers=COMPUTE)["flavors"]
            ids = [one["id"] for one in found if wanted in (one["id"], one["name"])]
            if not ids:
                raise Unfit(f"there is no flavor {wanted} ([verify] flavor)")
            return str(ids[0])
        about = {"name": self.things.name, "ram": 64, "vcpus": 1, "disk": 1, "description": MARK}
        body = {"flavor": {**about, "os-flavor-access:is_public": False}}
        made = str(self.things.make("flavor", nova + "/flavors", body, headers=COMPUTE)["flavor"]["id"])
        access = {"addTenantAccess": {"tenant": self.ids[1]}}
        self.admin.request("POST", f"{nova}/flavors/{made}/action", access, headers=COMPUTE)
        return made

    def _server(self) -> str:
        """Without a network: what is asked is that a host is chosen, told, and does its work."""
        nova = address_of(self.member, "nova")
        flavor = self._flavor(address_of(self.admin, "nova"))
        about = {"name": self.things.name, "imageRef": self.image, "flavorRef": flavor, "networks": "none"}
        before = ""
        ends = time.monotonic() + float(self.wish["server"])
        while True:
            if not self.server:
                self.server = self._server_made(nova, about)
            found = self.member.get(f"{nova}/servers/{self.server}", headers=COMPUTE)["server"]
            if found["status"] == "ACTIVE":
                return f"active after {time.monotonic() - ends + float(self.wish['server']):.0f} s{before}"
            if found["status"] == "ERROR":
                words = f"the server is in ERROR: {found.get('fault', {}).get('message', 'no words')}"
                if before:
                    raise Refused(200, words.replace("in ERROR", "in ERROR, twice", 1))
                # a nova-compute that was just restarted drops what was sent to it meanwhile, and Nova calls it up all
                # the while (openstack/nova: nova/compute/manager.py, init_host); one that is ill drops the next as well
                before = f", at the second try ({words})"
                self._server_delete()
                self.server = ""
                continue
            if time.monotonic() >= ends:
                state = found.get("OS-EXT-STS:task_state") or "no task"
                raise Refused(200, f"the server is {found['status']} ({state}) after {self.wish['server']} s")
            time.sleep(PAUSE)

    def _server_made(self, nova: str, about: dict[str, Any]) -> str:
        try:
            said = self.things.make("server", nova + "/servers", {"server": about}, self.member, headers=COMPUTE)
        except Refused as refused:
            if refused.status == 403 and "uota" in refused.words:
                raise Unfit(f"the quotas of a new project leave no room: {refused.words}") from None
            raise
        return str(said["server"]["id"])

    def _server_delete(self) -> str:
        url = f"{address_of(self.member, 'nova')}/servers/{self.server}"
        self.member.request("DELETE", url, headers=COMPUTE)
        said = self.things.until_gone(self.member, url, float(self.wish["server"]), headers=COMPUTE)
        self.things.gone("server", self.server)
        return said


def main() -> None:
    url, user, project = sys.argv[2:5]
    trial = Trial(url, user, project, json.loads(os.environ["UPGRADER_SMOKE"]))
    trial.run()
    print(json.dumps({"name": trial.things.name, "steps": trial.steps}))  # noqa: T201


if __name__ == "__main__":
    main()
