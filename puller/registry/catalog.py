"""Catalog: the list of a registry's repositories, of docker/distribution's making, which not all registries have."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from puller.errors import NotFound, PullerError, Unauthorized
from puller.model.reference import is_repository
from puller.registry.answer import Answer
from puller.registry.identity.auth import CATALOG
from puller.registry.paging import Listing, listed, names_in
from puller.registry.session import Session

MAX_PAGES = 10_000
MAX_BYTES = 256 << 20  # of all pages together
MAX_REPOSITORIES = 1_000_000
PAGE_SIZE = 1000  # docker-registry 3 refuses more (`catalog: maxentries`)
_HINT = "Many registries list their repositories to nobody, or to their owners only: then name each of them."


async def list_repositories(session: Session) -> AsyncGenerator[str, None]:
    """Every repository once, in the order of the pages, all of which are followed (DEMANDS C29).

    Raises RegistryError; ProtocolViolation for what is no repository (THREATS A5), and beyond the bounds.
    """
    path, query = f"{session.base}/_catalog", f"n={PAGE_SIZE}"
    listing = Listing(
        "list of repositories", "repositories", path, CATALOG, MAX_REPOSITORIES, MAX_PAGES, MAX_BYTES, query
    )
    try:
        async with aclosing(listed(session, listing, _repositories)) as names:
            async for name in names:
                yield name
    except PullerError as error:
        error.at(host=session.origin.netloc, phase="catalog")
        if isinstance(error, NotFound | Unauthorized):
            error.hint = _HINT
        raise


def _repositories(answer: Answer, raw: bytes) -> list[str]:
    return names_in(raw, "repositories", noun="list of repositories", one="repository", is_one=is_repository)
