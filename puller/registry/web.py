"""Web: one file of any web server, fetched as blobs are: redirects judged hop by hop, cut lines resumed, no secrets."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from yarl import URL

from puller.contracts.access import Endpoint, Protection, Trust
from puller.contracts.content import Body
from puller.errors import InvalidConfig, NotFound, PullerError, Unauthorized
from puller.model.event import Event, Report
from puller.registry.answer import Answer, Request
from puller.registry.download.body import Download
from puller.registry.identity.auth import Scope
from puller.registry.means import Means
from puller.registry.retry import RetryPolicy
from puller.registry.session import Session
from puller.registry.transport.lines import Lines
from puller.registry.transport.origin import Origin, redacted
from puller.registry.transport.patience import Patience
from puller.registry.transport.proxy import STRAIGHT, Proxies
from puller.registry.transport.reach import Reach
from puller.registry.world import World


def shown(text: str) -> str:
    """A URL without its query and whatever else may be secret."""
    return redacted(text)


def _ignore(_: Event) -> None:
    pass


class WebSession(Session):
    """A session with a server that is no registry: what it wants of us by way of tokens it does not get.

    `limit`: how far inside it may lie, where it was not the user who has named it; then plain HTTP is for this machine
    only. Of `trust`, what proves who we are is left out.
    """

    def __init__(self, origin: Origin, trust: Trust, means: Means, *, limit: Reach | None = None) -> None:
        protection = Protection.PLAIN if origin.scheme == "http" else Protection.TLS
        trust = Trust(trust.authorities)
        super().__init__(Endpoint(origin.netloc, "", protection, trust), None, means)
        self.origin = origin  # a registry of this name might be served elsewhere
        self._lines = Lines(origin, named=limit is None, trust=trust, means=means, limit=limit)

    async def _authorized(self, request: Request) -> Answer:
        return await self._followed(request, None)


@asynccontextmanager
async def web_file(
    text: str,
    *,
    ca_file: Path | None = None,
    limit: int | None = None,
    proxies: Proxies = STRAIGHT,
    report: Report = _ignore,
    retries: RetryPolicy | None = None,
    patience: Patience | None = None,
    world: World | None = None,
) -> AsyncIterator[Body]:
    """The file at a URL, from its start to its end or an error; at most `limit` bytes of it. Nothing verifies it here.

    Raises InvalidConfig for what is no http or https URL or brings credentials along, and RegistryError.
    """
    url = _checked(text)
    origin = Origin.of(url)
    trust = Trust((ca_file,)) if ca_file is not None else Trust()
    means = Means(
        report=report,
        retries=retries or RetryPolicy(),
        patience=patience or Patience(),
        world=world or World(),
        concurrency=2,
        proxies=proxies,
    )
    session = WebSession(origin, trust, means)
    name = os.path.basename(url.raw_path) or "the file"  # noqa: PTH119  # of a URL, not of a file system
    request = Request("GET", url.raw_path_qs or "/", name[:60], Scope(""))
    download = Download(session, request, None, offset=0, limit=limit)
    try:
        await download.open()
        yield download
    except PullerError as error:
        error.hint = "" if isinstance(error, NotFound | Unauthorized) else error.hint  # they speak of registries
        raise error.at(host=session.origin.netloc, phase="fetch") from error.__cause__
    finally:
        download.close()
        await session.close()


def _checked(text: str) -> URL:
    try:
        url = URL(text, encoded=True)
        Origin.of(url)
    except ValueError as error:
        raise InvalidConfig("not a URL that can be fetched", wanted="http:// or https://", got=shown(text)) from error
    if url.raw_user is not None or url.raw_password is not None:
        raise InvalidConfig("a URL must not bring credentials along", got=shown(text))
    return url
