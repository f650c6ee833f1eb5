"""DockerConfig: the accounts of docker's config.json, of containers' auth.json, and of the .dockercfg before them.

Bytes in, values out: who finds and opens the file, and whether there is one, is decided elsewhere (THREATS B19).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from puller.contracts.access import Credential, KnownIdentity
from puller.errors import InvalidConfig, InvalidManifest, Unsupported
from puller.model.document import load_document
from puller.settings.key import HUB_KEY, HUB_NAMES, Key, keys_for, server_of

_SECRETS = ("auth", "username", "password", "identitytoken", "registrytoken")
# The rest of a program's name: nothing that leads out of the PATH's directories, or that reads as an option.
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Helped:
    """An account that the program `docker-credential-<helper>` knows by `server`; `source` is where that is set up."""

    helper: str
    server: str
    source: str = field(default="", compare=False)


Account: TypeAlias = KnownIdentity | Helped


class DockerConfig:
    """Accounts by registry, and by parts of one. `file` is what errors and identities call it.

    A key serves exactly one host. Each entry is read when it is asked for, so a broken one is an error for its own
    host, is nobody else's business, and never leads to another host's secret (THREATS B11).
    """

    def __init__(
        self, auths: Mapping[str, Any], helpers: Mapping[str, Any], store: str, *, file: str, legacy: bool = False
    ) -> None:
        self._auths = auths
        self._helpers = helpers
        self._store = store
        self._file = file
        self._legacy = legacy

    @classmethod
    def parse(cls, raw: bytes, *, file: str = "config.json", legacy: bool = False) -> Self:
        """Read the file; an empty one holds nothing. A `legacy` file is the `auths` of the others and no more.

        Raises InvalidConfig, which never quotes the file.
        """
        document = document_of(raw, file)
        if legacy:
            return cls(document, {}, "", file=file, legacy=True)
        return cls(
            document.get("auths") or {}, document.get("credHelpers") or {}, document.get("credsStore") or "", file=file
        )

    def accounts(self, registry: str, repository: str) -> list[Account]:
        """Who to be, the first to be tried first; one that is no `Helped` is the last. Empty: nothing is said of it.

        A helper named for the registry is asked and nothing else, as docker and containers/image do; then come the
        accounts of parts of it, the smallest first; then the `credsStore`, and what `auths` says of the registry.
        docker would not look at that if there is a `credsStore`, and containers/image not at the `credsStore`.
        Raises InvalidConfig or Unsupported for a malformed entry and for several that differ.
        """
        helped = self.helped(registry)
        if helped is not None and self._names_helper(registry):
            return [helped]
        for key in () if self._legacy else keys_for(registry, repository):
            if (entry := self._sole(key)) is not None:
                return [self._known(key, entry)]
        entry = self._of_registry(registry)
        accounts: list[Account] = [] if helped is None else [helped]
        return accounts if entry is None else [*accounts, self._known(Key.of(registry), entry)]

    def helped(self, registry: str) -> Helped | None:
        """The helper that keeps this registry's account: its own, else the one of all. Raises InvalidConfig."""
        named = self._named(registry)
        if named is None:
            helper, server, where = self._store, server_of(registry), f"credsStore in {self._file}"
        else:
            helper, server, where = self._helpers[named], named, f"credHelpers for {registry} in {self._file}"
        if helper == "":
            return None  # in credHelpers it means: in this file (docker/cli, configfile.GetCredentialsStore)
        if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
            wanted = "what follows docker-credential- in a program's name"
            raise InvalidConfig("malformed credential helper", where=where, wanted=wanted)
        return Helped(helper, server, where)

    def keys(self, wanted: Key) -> list[str]:
        """The keys of `auths` that mean it, as they are written."""
        return [key for key in self._auths if Key.of(key, legacy=self._legacy) == wanted]

    def _names_helper(self, registry: str) -> bool:
        named = self._named(registry)
        return named is not None and self._helpers[named] != ""

    def _named(self, registry: str) -> str | None:
        """The key of `credHelpers` for a registry: the exact one, else one that means the same."""
        exact = _exact(registry)
        alike = sorted(key for key in self._helpers if Key.of(key) == Key.of(registry))
        return next((key for key in (*exact, *alike) if key in self._helpers), None)

    def _of_registry(self, registry: str) -> Any:
        """The entry with a secret for `registry`, by docker's order: the exact key, then any that names its host."""
        for key in _exact(registry):
            if not _is_empty(self._auths.get(key)):
                return self._auths[key]
        return self._sole(Key.of(registry))

    def _sole(self, key: Key) -> Any:
        """The one entry with a secret for `key`."""
        entries = [entry for entry in map(self._auths.get, self.keys(key)) if not _is_empty(entry)]
        if any(entry != entries[0] for entry in entries):
            where = f"auths for {key} in {self._file}"
            raise InvalidConfig("several different credentials for one registry", where=where)
        return entries[0] if entries else None

    def _known(self, key: Key, entry: Any) -> KnownIdentity:
        where = f"auths for {key} in {self._file}"
        return KnownIdentity(where, _read_entry(entry, where))

    def __repr__(self) -> str:
        return f"<DockerConfig of {len(self._auths)} auths>"


def document_of(raw: bytes, file: str) -> dict[str, Any]:
    """The whole JSON object of such a file. Raises InvalidConfig, which never quotes it."""
    try:
        document = load_document(raw, what=file) if raw.strip() else {}
    except InvalidManifest:
        raise InvalidConfig("credentials cannot be read", where=file, wanted="docker's config.json form") from None
    for key, kind in (("auths", dict), ("credHelpers", dict), ("credsStore", str)):
        if document.get(key) is not None and not isinstance(document[key], kind):
            wanted = "an object" if kind is dict else "a string"
            raise InvalidConfig("credentials are malformed", where=f"{key} in {file}", wanted=wanted)
    return document


def _exact(registry: str) -> tuple[str, ...]:
    return (HUB_KEY, *sorted(HUB_NAMES)) if registry.lower() in HUB_NAMES else (registry,)


def _is_empty(entry: Any) -> bool:
    """Whether an entry holds no secret: docker leaves `{}` behind where a helper has it."""
    return entry is None or (isinstance(entry, dict) and not any(entry.get(key) for key in _SECRETS))


def _read_entry(entry: Any, where: str) -> Credential:
    if not isinstance(entry, dict):
        raise InvalidConfig("malformed credentials", where=where, wanted="an object")
    fields = {key: entry.get(key) or "" for key in _SECRETS}
    if not all(isinstance(value, str) for value in fields.values()):
        raise InvalidConfig("malformed credentials", where=where, wanted="strings")
    username, password = fields["username"], fields["password"]
    if fields["auth"]:
        username, password = _decode_auth(fields["auth"], where)
    if not (password or fields["identitytoken"] or fields["registrytoken"]):
        raise Unsupported("credentials without password or token", where=where)
    try:
        return Credential(username, password, fields["identitytoken"], fields["registrytoken"])
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
