"""Hosts: what a configuration of syncs says of registries, before what is set up on the machine."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from anyio import to_thread

from puller.contracts.access import NO_TRUST, Credential, Endpoint, Identity, Keyring, Protection, Routes, Trust
from puller.errors import InvalidConfig
from puller.mirror.config import Host, Login, Pointer
from puller.model.reference import Reference

MAX_SECRET = 64 << 10  # bytes of a file that holds one
# What a folder of certificates holds; None where there is none. Raises InvalidConfig.
ReadTrust: TypeAlias = Callable[[Path], Trust | None]
# The first so many bytes of a file, and one more. Raises OSError.
ReadFile: TypeAlias = Callable[[Path, int], bytes]


class HostRoutes:
    """Routes like `routes`, but for how those among `hosts` are to be spoken to, be they registries or mirrors.

    Raises InvalidConfig for a `cert-dir` that is no good, before anybody is asked.
    """

    def __init__(self, routes: Routes, hosts: Mapping[str, Host], read_trust: ReadTrust) -> None:
        self._routes = routes
        self._hosts = dict(hosts)
        self._trusts = {
            name: _trust(name, Path(host.certificates), read_trust)
            for name, host in hosts.items()
            if host.certificates is not None
        }

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """See Routes."""
        return tuple(map(self._spoken_to, self._routes.endpoints(reference)))

    def home(self, reference: Reference) -> Endpoint:
        """See Routes."""
        return self._spoken_to(self._routes.home(reference))

    def _spoken_to(self, endpoint: Endpoint) -> Endpoint:
        host = self._hosts.get(endpoint.registry)
        if host is None:
            return endpoint
        trust = self._trusts.get(endpoint.registry)
        if trust is not None:
            # Who sets up certificates for a host of this machine wants it to speak TLS.
            usual = endpoint.protection is Protection.USUAL and trust != NO_TRUST
            protection = Protection.TLS if usual else endpoint.protection
            endpoint = replace(endpoint, trust=trust, protection=protection)
        if host.plain_http:
            return replace(endpoint, protection=Protection.PLAIN)
        return replace(endpoint, protection=Protection.ANY) if host.insecure else endpoint


class RoutesApart:
    """Routes like `routes`, without those mirrors that are `targets`, by `host[:port]`: what is brought to a registry
    would else be asked what it is to be, and never change again.
    """

    def __init__(self, routes: Routes, targets: Collection[str]) -> None:
        self._routes = routes
        self._targets = frozenset(targets)

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """See Routes."""
        found = self._routes.endpoints(reference)
        return tuple(one for one in found if not (one.is_mirror and one.registry in self._targets)) or found[-1:]

    def home(self, reference: Reference) -> Endpoint:
        """See Routes."""
        return self._routes.home(reference)


class HostKeyring:
    """A Keyring that knows the logins of `hosts`, and else what `keyring` does.

    Each is looked up at once, so that one that is not there is found before anybody is asked; a file is read again
    where a registry refuses what was in it. Raises InvalidConfig, which names the place and holds no secret.
    """

    def __init__(
        self, keyring: Keyring | None, hosts: Mapping[str, Host], environment: Mapping[str, str], read_file: ReadFile
    ) -> None:
        self._keyring = keyring
        self._identities = {
            name: PointedIdentity(name, host.login, _Reader(environment, read_file))
            for name, host in hosts.items()
            if host.login is not None
        }

    def identity(self, registry: str, repository: str) -> Identity | None:
        """See Keyring."""
        known = self._identities.get(registry)
        if known is None and self._keyring is not None:
            return self._keyring.identity(registry, repository)
        return known


class PointedIdentity:
    """The account of a `login`, read where that points to."""

    def __init__(self, registry: str, login: Login, reader: "_Reader") -> None:
        self.name = f"login of {registry} in the configuration"
        self._registry = registry
        self._login = login
        self._reader = reader
        self._known = self._read()

    async def credential(self) -> Credential | None:
        """See Identity."""
        return self._known

    async def renewed(self, refused: Credential) -> Credential | None:
        """See Identity."""
        if self._known == refused:
            self._known = await to_thread.run_sync(self._read)
        return None if self._known == refused else self._known

    def _read(self) -> Credential:
        where = f"registries: {self._registry}: login"
        user = self._reader.read(self._login.user, f"{where}: user")
        password = self._reader.read(self._login.password, f"{where}: password")
        try:
            return Credential(user, password)
        except InvalidConfig as error:
            error.where = error.where or where
            raise


class _Reader:
    def __init__(self, environment: Mapping[str, str], read_file: ReadFile) -> None:
        self._environment = environment
        self._read_file = read_file

    def read(self, pointer: Pointer, where: str) -> str:
        """What `pointer` points to. Raises InvalidConfig."""
        if pointer.kind == "text":
            return pointer.name
        if pointer.kind == "env":
            value = self._environment.get(pointer.name)
            if value is None:
                raise InvalidConfig("a variable that is not set", where=where, wanted=f"${pointer.name}")
        else:
            value = self._in_file(Path(pointer.name), where)
        if not value:
            raise InvalidConfig("there is nothing", where=where, got=f"{pointer.kind} {pointer.name}")
        return value

    def _in_file(self, path: Path, where: str) -> str:
        try:
            raw = self._read_file(path, MAX_SECRET)
        except OSError as error:
            raise InvalidConfig(f"cannot read {path}", where=where, got=error.strerror) from error
        if len(raw) > MAX_SECRET:
            raise InvalidConfig(f"{path} is too large", where=where, wanted=f"at most {MAX_SECRET} bytes")
        try:
            return raw.decode().strip()
        except UnicodeDecodeError:
            raise InvalidConfig(f"{path} is not UTF-8", where=where) from None  # whose text would show the bytes


def _trust(name: str, folder: Path, read_trust: ReadTrust) -> Trust:
    trust = read_trust(folder)
    if trust is None:
        where = f"registries: {name}: cert-dir"
        raise InvalidConfig("no folder of certificates, or none that can be read", where=where, got=folder)
    return trust
