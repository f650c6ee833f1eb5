"""Registries: opens the registry client with what the command line and the user's settings say.

Apart from `rooms`, because aiohttp takes longer to load than many a verb to run that needs no registry.
"""

from puller.cli.environment import credential_places, netrc_path, surroundings
from puller.cli.options import Access
from puller.contracts.access import Keyring
from puller.contracts.access import Keyring
from puller.errors import InvalidConfig
from puller.model.event import Report
from puller.model.reference import is_registry
from puller.registry.client import RegistryClient
from puller.settings.helper import Helpers
from puller.settings.keyring import FileKeyring
from puller.settings.netrc import Netrc
from puller.version import VERSION


def open_client(access: Access, *, jobs: int, report: Report, keyring: Keyring | None = None) -> RegistryClient:
    """A registry client with the accounts of `keyring`, else of this user.

    Raises InvalidConfig for what is no `host:port`.
    """
    for host in access.plain_http:
        if not is_registry(host):
            hint = "Name the registry as references do, without scheme and path: registry.example:5000."
            raise InvalidConfig("--plain-http wants a registry", wanted="host[:port]", got=repr(host)[:160], hint=hint)
    return RegistryClient(
        keyring=keyring or known_accounts(access),
        plain_http=access.plain_http,
        ca_file=access.ca,
        token_hosts=access.token_hosts,
        concurrency=max(jobs, 2) + 1,
        user_agent=f"puller/{VERSION}",
        report=report,
        debug=access.debug,
    )


def known_accounts(access: Access) -> FileKeyring:
    """Who this user is, by the files of docker, podman and skopeo. Raises InvalidConfig for a netrc that is no good."""
    netrc = Netrc.read(netrc_path()) if access.netrc else None
    return FileKeyring(credential_places(access.authfile), Helpers(surroundings()), netrc=netrc)
