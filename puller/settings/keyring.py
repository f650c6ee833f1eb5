"""FileKeyring: who somebody is at a registry, by all the files that docker, podman and skopeo keep, in one order."""

from collections.abc import Iterable

from puller.contracts.access import Identity, KnownIdentity
from puller.settings.account import Asking, Chain, HelpedIdentity
from puller.settings.authfile import AuthFile, Place
from puller.settings.dockerconfig import Helped
from puller.settings.netrc import Netrc


class FileKeyring:
    """A Keyring. `places` are asked in their order, and `netrc` after them all."""

    def __init__(self, places: Iterable[Place], helpers: Asking, *, netrc: Netrc | None = None) -> None:
        self._files = [AuthFile(place) for place in places]
        self._helpers = helpers
        self._netrc = netrc
        self._helped: dict[Helped, HelpedIdentity] = {}

    def identity(self, registry: str, repository: str) -> Identity | None:
        """Who to be for one repository; None for nobody. No helper is run.

        Files are read as far as the first that has a secret itself. Raises InvalidConfig for one that cannot be read,
        and for what cannot be used of it: nothing is passed over for another account (THREATS B11).
        """
        links: list[Identity] = []
        for file in self._files:
            for account in file.config.accounts(registry, repository):
                if isinstance(account, KnownIdentity):
                    return _chained([*links, account])
                links.append(self._identity(account))
        known = None if self._netrc is None else self._netrc.identity(registry)
        return _chained([*links, known] if known is not None else links)

    def _identity(self, account: Helped) -> HelpedIdentity:
        """One for each account, so that what it was told is known wherever it is used."""
        if account not in self._helped:
            self._helped[account] = HelpedIdentity(self._helpers, account)
        return self._helped[account]


def _chained(links: list[Identity]) -> Identity | None:
    if len(links) > 1:
        return Chain(tuple(dict.fromkeys(links)))
    return links[0] if links else None
