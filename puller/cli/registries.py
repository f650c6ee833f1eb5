"""Registries: opens the registry client with what the command line and the user's settings say.

Apart from `rooms`, because aiohttp takes longer to load than many a verb to run that needs no registry.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

from puller.cli.environment import (
    credential_places,
    limits_path,
    netrc_path,
    proxy_variables,
    settings_places,
    surroundings,
    without_authorities,
)
from puller.cli.options import Access
from puller.contracts.access import Keyring, Routes
from puller.errors import InvalidConfig
from puller.mirror.config import Host
from puller.mirror.hosts import HostKeyring, HostRoutes, RoutesApart
from puller.model.event import Report
from puller.model.reference import is_registry
from puller.settings.certsd import trust_in
from puller.settings.helper import Helpers
from puller.settings.keyring import FileKeyring
from puller.settings.netrc import Netrc
from puller.settings.routes import SettingsRoutes

with without_authorities():  # aiohttp reads them all, twice, as it is loaded; ours are read where a host speaks TLS
    from puller.registry.client import RegistryClient
    from puller.registry.pace import MAX_WAIT, HostPace, Pace
    from puller.registry.transport.noproxy import NoProxy
    from puller.registry.transport.proxy import STRAIGHT, Proxies, Proxy

# To one host, where nothing else is said: a large layer comes over several (docs/ranges.md).
CONNECTIONS = 8


def open_client(
    access: Access,
    *,
    jobs: int,
    report: Report,
    keyring: Keyring | None = None,
    foreign_layers: bool = False,
    hosts: Mapping[str, Host] | None = None,
    targets: Collection[str] = (),
) -> RegistryClient:
    """A registry client with the accounts of `keyring`, else of this user.

    `hosts`: what a configuration says of registries; options come before that, what is set up elsewhere after it.
    `targets` are registries that are brought to: as mirrors of others they are not asked.
    Raises InvalidConfig for what is no `host:port`, and for logins and certificates that are not there.
    """
    for host in access.plain_http:
        if not is_registry(host):
            hint = "Name the registry as references do, without scheme and path: registry.example:5000."
            raise InvalidConfig("--plain-http wants a registry", wanted="host[:port]", got=repr(host)[:160], hint=hint)
    accounts: Keyring = keyring or known_accounts(access)
    routes: Routes = SettingsRoutes(settings_places(), mirrors=access.mirrors)
    if hosts:
        accounts = HostKeyring(accounts, hosts, surroundings(), _beginning)
        routes = HostRoutes(routes, hosts, trust_in)
    if targets:
        routes = RoutesApart(routes, targets)
    return RegistryClient(
        keyring=accounts,
        routes=routes,
        plain_http=access.plain_http,
        ca_file=access.ca,
        token_hosts=access.token_hosts,
        pace=_pace(access, jobs=jobs, hosts=hosts or {}),
        report=report,
        debug=access.debug,
        proxies=known_proxies(access.proxy, ca=access.ca),
        foreign_layers=foreign_layers,
    )


def _pace(access: Access, *, jobs: int, hosts: Mapping[str, Host]) -> Pace:
    return Pace(
        concurrency=access.connections or max(jobs + 1, CONNECTIONS),
        request_rate=access.request_rate,
        limit_rate=access.limit_rate,
        max_wait=MAX_WAIT if access.max_wait is None else access.max_wait,
        quotas=limits_path(),
        hosts={name: _host_pace(host, access) for name, host in hosts.items()},
    )


def _host_pace(host: Host, access: Access) -> HostPace:
    """What a configuration says of one registry, where no option speaks of them all."""
    return HostPace(
        host.rate if access.request_rate is None else None, host.concurrency if access.connections is None else None
    )


def _beginning(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit + 1)


def known_accounts(access: Access) -> FileKeyring:
    """Who this user is, by the files of docker, podman and skopeo. Raises InvalidConfig for a netrc that is no good."""
    netrc = Netrc.read(netrc_path()) if access.netrc else None
    return FileKeyring(credential_places(access.authfile), Helpers(surroundings()), netrc=netrc)


def known_proxies(given: str | None, *, ca: Path | None) -> Proxies:
    """The proxies to go through: none unless asked (THREATS B19). Raises InvalidConfig for what is no proxy.

    `given` is a URL, or `env`; `ca` vouches for a proxy that is spoken to over TLS, too.
    """
    authorities = () if ca is None else (ca,)
    if given is None:
        return STRAIGHT
    if given != "env":
        proxy = Proxy.parse(given)
        return Proxies(proxy, proxy, authorities=authorities)
    told = proxy_variables()
    otherwise = told.get("all")
    http, https = told.get("http", otherwise), told.get("https", otherwise)
    return Proxies(
        None if http is None else Proxy.parse(http[1], where=http[0]),
        None if https is None else Proxy.parse(https[1], where=https[0]),
        NoProxy.parse(told.get("no", ("", ""))[1]),
        authorities,
    )
