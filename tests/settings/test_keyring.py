"""The keyring of files: which file is asked, in what order, and whose account it gives."""

import base64
import json
from pathlib import Path

import pytest

from puller.contracts.access import Credential, KnownIdentity
from puller.errors import HelperFailed, InvalidConfig
from puller.settings.account import Chain, HelpedIdentity
from puller.settings.authfile import Place
from puller.settings.keyring import FileKeyring
from puller.settings.netrc import Netrc
from tests.settings.programs import Shelf, answering


def auth(username: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{username}:pass".encode()).decode()}


def put(path: Path, **document: object) -> Place:
    path.write_text(json.dumps(document))
    return Place(path)


async def user(keyring: FileKeyring, registry: str = "ghcr.io", repository: str = "team/app") -> str | None:
    """The name under which the keyring has an account there."""
    identity = keyring.identity(registry, repository)
    known = None if identity is None else await identity.credential()
    return None if known is None else known.username


async def test_the_first_file_that_has_an_account_counts(tmp_path: Path, shelf: Shelf) -> None:
    places = [
        Place(tmp_path / "not-there"),
        put(tmp_path / "a", auths={"quay.io": auth("a")}),
        put(tmp_path / "b", auths={"ghcr.io": auth("b")}),
        put(tmp_path / "c", auths={"ghcr.io/team/app": auth("c"), "quay.io": auth("c")}),
    ]
    keyring = FileKeyring(places, shelf.helpers())
    assert await user(keyring) == "b"
    assert await user(keyring, "quay.io") == "a"
    assert await user(keyring, "gcr.io") is None
    assert keyring.identity("gcr.io", "app") is None


async def test_a_later_file_is_asked_where_the_helpers_of_earlier_ones_know_nothing(
    tmp_path: Path, shelf: Shelf
) -> None:
    shelf.keeping("empty")
    places = [
        put(tmp_path / "a", credHelpers={"ghcr.io": "empty"}),
        put(tmp_path / "b", credsStore="empty", auths={"ghcr.io": auth("b")}),
    ]
    keyring = FileKeyring(places, shelf.helpers())
    assert shelf.asked("empty") == []
    assert await user(keyring) == "b"
    assert shelf.asked("empty") == ["get ghcr.io"]  # two files name the same account: it is asked for once


async def test_b11_a_broken_helper_leads_to_no_other_account(tmp_path: Path, shelf: Shelf) -> None:
    shelf.add("broken", "exit 1")
    places = [
        put(tmp_path / "a", credHelpers={"ghcr.io": "broken"}, auths={"quay.io": auth("a")}),
        put(tmp_path / "b", auths={"ghcr.io": auth("b"), "https://index.docker.io/v1/": auth("hub")}),
    ]
    keyring = FileKeyring(places, shelf.helpers())
    with pytest.raises(HelperFailed, match="docker-credential-broken"):
        await user(keyring)
    assert await user(keyring, "quay.io") == "a"
    assert await user(keyring, "docker.io") == "hub"
    assert shelf.asked("broken") == ["get ghcr.io"]


async def test_a_helper_is_asked_once_for_all_repositories_of_its_registry(tmp_path: Path, shelf: Shelf) -> None:
    shelf.add("fake", answering("ann", "sesame"))
    keyring = FileKeyring([put(tmp_path / "a", credsStore="fake")], shelf.helpers())
    for repository in ("team/app", "team/other", "app"):
        assert await user(keyring, "ghcr.io", repository) == "ann"
    assert await user(keyring, "quay.io") == "ann"
    assert shelf.asked("fake") == ["get ghcr.io", "get quay.io"]


def test_accounts_that_may_differ_have_different_names(tmp_path: Path, shelf: Shelf) -> None:
    """Sessions are shared by name (THREATS B20): a chain is named by all its links, for each may be the one."""
    places = [
        put(tmp_path / "a", credsStore="fake"),
        put(tmp_path / "b", auths={"ghcr.io/team": auth("team"), "ghcr.io": auth("all"), "quay.io": auth("all")}),
    ]
    keyring = FileKeyring(places, shelf.helpers())
    asked = (("ghcr.io", "team/app"), ("ghcr.io", "team/other"), ("ghcr.io", "app"), ("quay.io", "app"))
    identities = [keyring.identity(registry, repository) for registry, repository in asked]
    names = [identity.name for identity in identities if isinstance(identity, Chain)]
    assert len(names) == 4
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_files_of_one_form_in_two_places_are_two_accounts(tmp_path: Path, shelf: Shelf) -> None:
    names = set()
    for file in ("a", "b"):
        place = put(tmp_path / file, auths={"ghcr.io": auth("same")})
        identity = FileKeyring([place], shelf.helpers()).identity("ghcr.io", "app")
        assert isinstance(identity, KnownIdentity)
        names.add(identity.name)
    assert names == {f"auths for ghcr.io in {tmp_path}/{file}" for file in ("a", "b")}


def test_b11_a_file_that_is_broken_is_not_passed_over_and_one_that_is_not_needed_not_read(
    tmp_path: Path, shelf: Shelf
) -> None:
    first = put(tmp_path / "a", auths={"ghcr.io": auth("a")})
    (tmp_path / "b").write_text("{")
    keyring = FileKeyring([first, Place(tmp_path / "b")], shelf.helpers())
    assert keyring.identity("ghcr.io", "app") is not None
    with pytest.raises(InvalidConfig, match=str(tmp_path / "b")):
        keyring.identity("quay.io", "app")


def test_a_file_is_read_once(tmp_path: Path, shelf: Shelf) -> None:
    place = put(tmp_path / "a", auths={"ghcr.io": auth("a")})
    keyring = FileKeyring([place], shelf.helpers())
    before = keyring.identity("ghcr.io", "app")
    place.path.unlink()
    assert keyring.identity("ghcr.io", "app") == before


def test_a_file_that_was_named_has_to_be_there(tmp_path: Path, shelf: Shelf) -> None:
    keyring = FileKeyring([Place(tmp_path / "named", required=True)], shelf.helpers())
    with pytest.raises(InvalidConfig, match="no such file"):
        keyring.identity("ghcr.io", "app")


@pytest.mark.parametrize("kind", ["directory", "endless", "loop"])
def test_b11_what_cannot_be_read_is_refused_and_not_passed_over(tmp_path: Path, shelf: Shelf, kind: str) -> None:
    (tmp_path / "loop").symlink_to("loop")
    path = {"directory": tmp_path, "endless": Path("/dev/zero"), "loop": tmp_path / "loop"}[kind]
    with pytest.raises(InvalidConfig, match=str(path)):
        FileKeyring([Place(path)], shelf.helpers()).identity("ghcr.io", "app")


async def test_a_netrc_counts_where_no_file_has_an_account(tmp_path: Path, shelf: Shelf) -> None:
    shelf.keeping("empty")
    netrc = Netrc.parse(b"machine ghcr.io login n password x\nmachine quay.io login n password x\n")
    place = put(tmp_path / "a", auths={"quay.io": auth("a")}, credHelpers={"ghcr.io": "empty"})
    keyring = FileKeyring([place], shelf.helpers(), netrc=netrc)
    assert await user(keyring) == "n"
    assert await user(keyring, "quay.io") == "a"
    assert await user(keyring, "gcr.io") is None


async def test_a_dockercfg_is_read_by_its_own_form(tmp_path: Path, shelf: Shelf) -> None:
    place = put(tmp_path / ".dockercfg", **{"https://index.docker.io/v1/": auth("old")})
    assert await user(FileKeyring([Place(place.path, legacy=True)], shelf.helpers()), "docker.io") == "old"


# What the manuals show, unchanged but for the secrets, which they leave out or make up.
DOCUMENTED = {
    "docker login: a store": ('{\n  "credsStore": "osxkeychain"\n}', "ghcr.io", "app", "osxkeychain for ghcr.io"),
    "docker login: helpers": (
        """{
  "credHelpers": {
    "myregistry.example.com": "secretservice",
    "docker.internal.example": "pass"
  }
}""",
        "docker.internal.example",
        "app",
        "pass for docker.internal.example",
    ),
    "containers-auth.json(5): two registries": (
        """{
	"auths": {
		"docker.io": {
			"auth": "…"
		},
		"quay.io": {
			"auth": "…"
		}
	}
}""",
        "docker.io",
        "library/alpine",
        "auths for docker.io in",
    ),
    "containers-auth.json(5): paths": (
        '{"auths": {"my-registry.local/foo/bar/image": {"auth": "…"}, "my-registry.local/foo": {"auth": "…"},'
        ' "my-registry.local": {"auth": "…"}}}',
        "my-registry.local",
        "foo/bar/image",
        "auths for my-registry.local/foo/bar/image in",
    ),
    "containers-auth.json(5): a helper": (
        """{
    "auths": {
        "localhost:5001": {}
    },
    "credHelpers": {
        "registry.example.com": "secretservice"
    }
}""",
        "registry.example.com",
        "app",
        "secretservice for registry.example.com",
    ),
    "amazon-ecr-credential-helper, README: a registry": (
        '{\n\t"credHelpers": {\n\t\t"public.ecr.aws": "ecr-login",\n\t\t'
        '"123456789012.dkr.ecr.us-east-1.amazonaws.com": "ecr-login"\n\t}\n}',
        "123456789012.dkr.ecr.us-east-1.amazonaws.com",
        "app",
        "ecr-login for 123456789012.dkr.ecr.us-east-1.amazonaws.com",
    ),
    "gcloud auth configure-docker": (
        '{"credHelpers": {"gcr.io": "gcloud", "us.gcr.io": "gcloud", "europe-docker.pkg.dev": "gcloud"}}',
        "europe-docker.pkg.dev",
        "project/repository/app",
        "gcloud for europe-docker.pkg.dev",
    ),
    "kubernetes, Pull an Image from a Private Registry": (
        '{"auths": {"https://index.docker.io/v1/": {"auth": "…"}}}',
        "docker.io",
        "team/private",
        "auths for docker.io in",
    ),
}


@pytest.mark.parametrize(("text", "registry", "repository", "wanted"), DOCUMENTED.values(), ids=DOCUMENTED.keys())
def test_files_as_the_manuals_show_them_work_unchanged(
    tmp_path: Path, shelf: Shelf, text: str, registry: str, repository: str, wanted: str
) -> None:
    (tmp_path / "config.json").write_text(text.replace("…", "dGVzdDpzZXNhbWU="))
    identity = FileKeyring([Place(tmp_path / "config.json")], shelf.helpers()).identity(registry, repository)
    assert identity is not None
    assert wanted in identity.name
    if isinstance(identity, KnownIdentity):
        assert identity.known == Credential("test", "sesame")
    else:
        assert isinstance(identity, HelpedIdentity)
