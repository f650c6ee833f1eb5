"""DockerConfig: the accounts of docker's config.json.

Bytes in, values out: who finds and opens the file, and whether there is one, is decided elsewhere (THREATS B19).
"""

import base64
import binascii
import logging
from collections.abc import Mapping
from typing import Any, Self

from puller.contracts.access import Credential, Identity, KnownIdentity
from puller.errors import InvalidConfig, InvalidManifest, Unsupported
from puller.model.document import load_document
from puller.model.reference import DOCKER_HUB
from puller.model.text import printable

_LOG = logging.getLogger(__name__)
# docker/cli keeps Docker Hub under a URL of the protocol before this one (registry.IndexServer).
HUB_KEY = "https://index.docker.io/v1/"
_HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io"})
_SECRETS = ("auth", "username", "password", "identitytoken", "registrytoken")


class DockerConfig:
    """The credentials of a docker `config.json`: its `auths`. Helper programs are not run yet.

    A key serves exactly one host. Each entry is read when it is asked for, so a broken one is an error for its own
    host, is nobody else's business, and never leads to another host's secret (THREATS B11).
    """

    def __init__(self, auths: Mapping[str, Any], helpers: Mapping[str, Any], store: str) -> None:
        self._auths = auths
        self._helpers = helpers
        self._store = store

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read the file; an empty one holds nothing. Raises InvalidConfig, which never quotes the file."""
        try:
            document = load_document(raw, what="docker config") if raw.strip() else {}
        except InvalidManifest as error:
            raise InvalidConfig("docker's config.json cannot be read", where=error.what) from None
        auths, helpers, store = (document.get(key) for key in ("auths", "credHelpers", "credsStore"))
        for key, value, kind in (("auths", auths, dict), ("credHelpers", helpers, dict), ("credsStore", store, str)):
            if value is not None and not isinstance(value, kind):
                wanted = "an object" if kind is dict else "a string"
                raise InvalidConfig("docker's config.json is malformed", where=key, wanted=wanted)
        return cls(auths or {}, helpers or {}, store or "")

    def identity(self, registry: str, repository: str) -> Identity | None:
        """Who to be at `registry`; None where the file has nothing to say of it.

        A secret in `auths` comes first. Where there is none and a credential helper is named for exactly this host,
        raises Unsupported, since a pull as nobody is not what was set up; a `credsStore` for all hosts, which docker
        writes unasked, is only logged. Raises InvalidConfig for a malformed entry and for several that differ.
        """
        entry = self._entry(registry)
        if entry is not None:
            return KnownIdentity(f"auths for {registry}", _read_entry(entry, registry))
        helpers = {key: helper for key, helper in self._helpers.items() if _host_of(key) == registry.lower()}
        for helper in helpers.values():
            if not isinstance(helper, str):
                raise InvalidConfig("malformed credential helper", where=f"credHelpers for {registry}")
            if helper:
                raise Unsupported(
                    "credential helpers are not supported yet",
                    where=f"credHelpers for {registry}",
                    got=f"docker-credential-{helper}"[:120],
                    hint="Put the credentials into `auths` of a config.json.",
                )
        if self._store:
            _LOG.warning(
                "credsStore %s is not asked: no credentials for %s", printable(self._store, limit=80), registry
            )
        return None

    def _entry(self, registry: str) -> Any:
        """The entry with a secret for `registry`, by docker's order: the exact key, then any that names its host."""
        name = registry.lower()
        exact = (HUB_KEY, *sorted(_HUB_NAMES)) if name in _HUB_NAMES else (registry,)
        for key in exact:
            if not _is_empty(self._auths.get(key)):
                return self._auths[key]
        host = DOCKER_HUB if name in _HUB_NAMES else name
        entries = [entry for key, entry in self._auths.items() if _host_of(key) == host and not _is_empty(entry)]
        if any(entry != entries[0] for entry in entries):
            raise InvalidConfig("several different credentials for one registry", where=f"auths for {registry}")
        return entries[0] if entries else None

    def __repr__(self) -> str:
        return f"<DockerConfig of {len(self._auths)} auths>"


def _host_of(key: str) -> str:
    """The registry that a key of the file names.

    As docker/cli does (credentials.ConvertToHostname): scheme and path do not count, the port does.
    """
    rest = key.partition("://")[2] if "://" in key else key
    host = rest.partition("/")[0].lower()
    return DOCKER_HUB if host in _HUB_NAMES else host


def _is_empty(entry: Any) -> bool:
    """Whether an entry holds no secret: docker leaves `{}` behind where a helper has it."""
    return entry is None or (isinstance(entry, dict) and not any(entry.get(key) for key in _SECRETS))


def _read_entry(entry: Any, registry: str) -> Credential:
    where = f"auths for {registry}"
    if not isinstance(entry, dict):
        raise InvalidConfig("malformed credentials", where=where, wanted="an object")
    fields = {key: entry.get(key) or "" for key in _SECRETS}
    if not all(isinstance(value, str) for value in fields.values()):
        raise InvalidConfig("malformed credentials", where=where, wanted="strings")
    username, password = fields["username"], fields["password"]
    if fields["auth"]:
        username, password = _decode_auth(fields["auth"], where)
    if not (password or fields["identitytoken"]):
        raise Unsupported("credentials without password or identity token", where=where)
    try:
        return Credential(username, password, fields["identitytoken"])
    except InvalidConfig as error:
        raise InvalidConfig(error.what, where=where) from None


def _decode_auth(text: str, where: str) -> tuple[str, str]:
    """User name and password of an `auth` value: base64 of `name:password` (configfile.decodeAuth)."""
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        # Not chained: the foreign error may hold the bytes.
        raise InvalidConfig("malformed credentials", where=where, wanted="base64 in `auth`") from None
    username, colon, password = decoded.partition(":")
    if not colon or not username:
        raise InvalidConfig("malformed credentials", where=where, wanted="`name:password` in `auth`")
    return username, password.strip("\0")
