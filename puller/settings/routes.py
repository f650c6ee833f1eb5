"""SettingsRoutes: where repositories are to be had from, by what is set up for podman, containerd and docker.

Of the three one decides for a name: registries.conf if it speaks of it, else hosts.toml, else daemon.json. How a host
proves itself is looked up in `certs.d` for whatever they name, unless hosts.toml says it.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from puller.contracts.access import NO_TRUST, Endpoint, Protection, Trust
from puller.errors import InvalidConfig
from puller.model.reference import DOCKER_HUB, Reference
from puller.settings.certsd import trust_of
from puller.settings.daemonjson import DaemonJson, load_daemon
from puller.settings.hoststoml import Host, load_hosts
from puller.settings.places import Places
from puller.settings.registriesconf import RegistriesConf, load_registries
from puller.settings.registriesrule import Location, Rule


class SettingsRoutes:
    """Routes by the files in `places`, each read when it is first needed. `mirrors` False: registries only, where their
    names say.
    """

    def __init__(self, places: Places, *, mirrors: bool = True) -> None:
        self._places = places
        self._mirrors = mirrors
        self._hosts: dict[str, tuple[Host, ...] | None] = {}
        self._trusts: dict[str, Trust] = {}

    def endpoints(self, reference: Reference) -> tuple[Endpoint, ...]:
        """See Routes."""
        if not self._mirrors:
            return (self.home(reference),)
        rule = self._registries.rule(reference)
        if rule is not None:
            return self._by_rule(reference, rule)
        hosts = self._hosts_of(reference.registry)
        if hosts is not None:
            return self._by_hosts(reference, hosts)
        mirrors = self._hub_mirrors(reference) if reference.registry == DOCKER_HUB else ()
        return (*mirrors, self._plain(reference))

    def home(self, reference: Reference) -> Endpoint:
        """See Routes. No location is looked up: containers/image as well pushes where the name says."""
        rule = self._registries.rule(reference)
        if rule is not None:
            if rule.blocked:
                raise _blocked(reference, rule.file)
            return self._at(reference, insecure=rule.location.insecure, proxy=rule.location.proxy)
        own = [host for host in self._hosts_of(reference.registry) or () if _is_own(host, reference)]
        return self._by_host(reference, own[-1]) if own else self._plain(reference)

    @cached_property
    def _registries(self) -> RegistriesConf:
        return load_registries(self._places)

    @cached_property
    def _daemon(self) -> DaemonJson:
        return load_daemon(self._places)

    def _hosts_of(self, registry: str) -> tuple[Host, ...] | None:
        if registry not in self._hosts:
            self._hosts[registry] = load_hosts(registry, self._places)
        return self._hosts[registry]

    def _trust(self, registry: str) -> Trust:
        if registry not in self._trusts:
            self._trusts[registry] = trust_of(registry, self._places)
        return self._trusts[registry]

    def _by_rule(self, reference: Reference, rule: Rule) -> tuple[Endpoint, ...]:
        places = [(mirror, True) for mirror in rule.chosen(reference)]
        if not rule.blocked:
            places.append((rule.location, False))
        found = [self._located(reference, rule, location, is_mirror=mirror) for location, mirror in places]
        endpoints = tuple(endpoint for endpoint in found if endpoint is not None)
        resolving = any(endpoint.resolves for endpoint in endpoints)
        if not endpoints or (reference.digest is None and not resolving):
            raise _blocked(reference, rule.file)
        return endpoints

    def _located(self, reference: Reference, rule: Rule, location: Location, *, is_mirror: bool) -> Endpoint | None:
        """The endpoint of a location; None where another rule blocks that."""
        there = rule.rewritten(reference, location)
        other = self._registries.rule(there)
        if other is not None and other.blocked and (is_mirror or other is not rule):
            return None
        endpoint = self._at(there, insecure=location.insecure, proxy=location.proxy)
        resolves = not is_mirror or location.usage != "digest-only"
        return replace(endpoint, is_mirror=is_mirror, resolves=resolves)

    def _by_hosts(self, reference: Reference, hosts: tuple[Host, ...]) -> tuple[Endpoint, ...]:
        endpoints = [self._by_host(reference, host) for host in hosts]
        useful: tuple[Endpoint, ...] = ()
        for endpoint in endpoints:
            if (endpoint.resolves or endpoint.fetches) and not _stands(endpoint, useful):
                useful += (endpoint,)
        if not any(endpoint.fetches for endpoint in useful):
            raise InvalidConfig("hosts.toml allows no host to be pulled from", reference=reference)
        return useful

    def _by_host(self, reference: Reference, host: Host) -> Endpoint:
        site = host.site
        registry = reference.registry if site is None else site.registry
        trust = host.trust if host.trust != NO_TRUST else self._trust(registry)
        is_own = _is_own(host, reference)
        return Endpoint(
            registry,
            reference.repository,
            _protection(None if site is None else site.scheme, trust, insecure=host.skip_verify),
            trust,
            base="/v2" if site is None else site.base,
            headers=host.headers,
            is_mirror=not is_own,
            resolves="resolve" in host.capabilities,
            fetches="pull" in host.capabilities,
            namespace="" if is_own else reference.registry,
            proxy=host.proxy,
            connect_within=host.connect_within,
        )

    def _hub_mirrors(self, reference: Reference) -> Iterator[Endpoint]:
        for site in self._daemon.mirrors:
            trust = self._trust(site.registry)
            insecure = site.scheme == "https" and self._daemon.is_insecure(site.registry)
            protection = _protection(site.scheme, trust, insecure=insecure)
            yield Endpoint(site.registry, reference.repository, protection, trust, site.base, is_mirror=True)

    def _plain(self, reference: Reference) -> Endpoint:
        return self._at(reference, insecure=self._daemon.is_insecure(reference.registry))

    def _at(self, reference: Reference, *, insecure: bool, proxy: str = "") -> Endpoint:
        trust = self._trust(reference.registry)
        protection = _protection(None, trust, insecure=insecure)
        return Endpoint(reference.registry, reference.repository, protection, trust, proxy=proxy)


def _protection(scheme: str | None, trust: Trust, *, insecure: bool) -> Protection:
    """What a host must speak, by the scheme that was written and what was set up for it."""
    if insecure:
        return Protection.ANY
    if scheme == "http":
        return Protection.PLAIN
    # Who sets up certificates for a host of this machine wants it to speak TLS.
    return Protection.TLS if scheme == "https" or trust != NO_TRUST else Protection.USUAL


def _stands(endpoint: Endpoint, earlier: tuple[Endpoint, ...]) -> bool:
    """Whether the same host was named earlier, for as much or more: a registry as `host`, and as `server` again."""
    same = [one for one in earlier if (one.registry, one.base) == (endpoint.registry, endpoint.base)]
    return any(one.resolves >= endpoint.resolves and one.fetches >= endpoint.fetches for one in same)


def _is_own(host: Host, reference: Reference) -> bool:
    """Whether it is the registry itself."""
    return host.site is None or (host.site.registry == reference.registry and host.site.base == "/v2")


def _blocked(reference: Reference, file: Path) -> InvalidConfig:
    return InvalidConfig("the registry is blocked", where=f"{file}: blocked", reference=reference)
