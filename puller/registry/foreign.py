"""Foreign layers: content that a registry may not keep, fetched from the URLs that its manifest names (THREATS B2).

The registry is asked first, as docker does on Windows (moby, distribution/pull_v2_windows.go; containerd and
containers/image ask the URLs first). Only when it has not got the layer, and the user has said so, are the URLs tried
in their order: as strangers, wherever they lead, under the rules for redirects of this registry.
"""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace

from yarl import URL

from puller.contracts.access import Trust
from puller.contracts.content import Body, disowned, labelled
from puller.contracts.images import ImageSource
from puller.errors import NotFound, PullerError, Unauthorized
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import PassedOver
from puller.model.reference import Reference
from puller.model.report import Origin as Served
from puller.model.report import Passed
from puller.model.text import printable
from puller.registry.answer import Request
from puller.registry.download.body import Download
from puller.registry.identity.auth import Scope
from puller.registry.means import Means
from puller.registry.mirrors.replica import hastened
from puller.registry.session import Session
from puller.registry.transport.origin import Origin
from puller.registry.transport.reach import Reach
from puller.registry.transport.redirect import foreign_location
from puller.registry.web import WebSession
from puller.stream.sink import Chunk

MAX_URLS = 8  # of one layer; real ones have one or two
_SHOWN = 3


class Foreign:
    """An ImageSource that knows what to do, or to say, where `source` has not got a foreign layer.

    Also a LabelFetcher where that is one, and Alternatives. `home` gives the session of the registry itself, `trust`
    how hosts prove themselves. Without `allowed` no URL is asked.
    """

    def __init__(
        self,
        source: ImageSource,
        *,
        registry: str,
        home: Callable[[], Session],
        trust: Trust,
        means: Means,
        allowed: bool,
    ) -> None:
        self._source = source
        self._registry = registry
        self._home = home
        self._trust = trust
        self._means = means
        self._allowed = allowed
        self._served: dict[Digest, str] = {}
        self._disowned: dict[Digest, list[str]] = {}
        self._left: dict[Digest, int] = {}

    @property
    def place(self) -> str:
        """See ImageSource."""
        return self._source.place

    async def resolve(self, reference: Reference) -> Descriptor:
        """See Resolver."""
        return await self._source.resolve(reference)

    async def holds(self, descriptor: Descriptor) -> bool:
        """See ImageSource."""
        return await self._source.holds(descriptor)

    async def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """See ImageSource."""
        return await self._source.referrers(subject)

    def tags(self) -> AsyncIterator[str]:
        """See ImageSource."""
        return self._source.tags()

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        """The bytes of `wanted` from `offset` to the end, or an error."""
        self._served.pop(wanted.digest, None)
        async with AsyncExitStack() as stack:
            try:
                body = await stack.enter_async_context(self._source.fetch(wanted, offset=offset))
            except NotFound as error:
                if not mediatype.is_foreign(wanted.media_type) or error.phase == "authentication":
                    raise
                if not self._allowed or not wanted.urls:
                    raise _explained(error, wanted) from error.__cause__
                body = await self._elsewhere(stack, wanted, offset, error)
            yield body

    def labelled(self, label: str) -> AbstractAsyncContextManager[Body]:
        """See LabelFetcher."""
        return labelled(self._source, label)

    def disown(self, digest: Digest) -> bool:
        """See Alternatives."""
        url = self._served.pop(digest, None)
        if url is None:
            return disowned(self._source, digest)
        self._disowned.setdefault(digest, []).append(url)
        return self._left.get(digest, 0) > 0

    async def _elsewhere(self, stack: AsyncExitStack, wanted: Descriptor, offset: int, missing: NotFound) -> Body:
        """The body from the first URL that gives one. Raises what the last one raised."""
        disowned = self._disowned.get(wanted.digest, [])
        urls = [url for url in dict.fromkeys(wanted.urls[:MAX_URLS]) if url not in disowned]
        passed = [
            Passed(self._registry, missing.what),
            *(Passed(host_of(url), "served wrong bytes") for url in disowned),
        ]
        failure: PullerError = missing
        for place, url in enumerate(urls, 1):
            last = passed[-1]
            what = f"blob {wanted.digest.short}"
            self._means.report(PassedOver(last.host, what, last.reason, host_of(url)))
            try:
                download = await stack.enter_async_context(self._visited(url, wanted, offset, hasty=place < len(urls)))
            except PullerError as error:
                failure = error
                passed.append(Passed(host_of(url), error.what))
                continue
            self._served[wanted.digest], self._left[wanted.digest] = url, len(urls) - 1
            return _Foreign(download, passed)
        for one in passed[:-1]:
            failure.add_note(f"{one.host}: {one.reason}")
        raise failure

    @asynccontextmanager
    async def _visited(self, text: str, wanted: Descriptor, offset: int, *, hasty: bool) -> AsyncIterator[Download]:
        home = self._home()
        reach = home.reach
        plain = home.origin.scheme == "http" and reach is Reach.LOOPBACK
        url = foreign_location(text, where=self._registry, plain=plain)
        session = WebSession(Origin.of(url), self._trust, hastened(self._means) if hasty else self._means, limit=reach)
        request = Request("GET", url.raw_path_qs or "/", f"foreign layer {wanted.digest.short}", Scope(""))
        download = Download(session, request, wanted, offset=offset, limit=None)
        try:
            await download.open()
            yield download
        except PullerError as error:
            served = download.origin
            error.at(digest=wanted.digest, phase="fetch", host=served.redirect or served.host, attempts=served.attempts)
            raise _of_stranger(error) from error.__cause__
        finally:
            download.close()
            await session.close()


class _Foreign:
    """A Body of a download that others were asked for before."""

    def __init__(self, download: Download, passed: Sequence[Passed]) -> None:
        self._download = download
        self._passed = tuple(passed)

    @property
    def origin(self) -> Served:
        """The host of the URL, and where that sent us."""
        return replace(self._download.origin, passed=self._passed)

    def __aiter__(self) -> AsyncIterator[Chunk]:
        return aiter(self._download)


def host_of(text: str) -> str:
    """The host of a URL of a manifest, safe to show; `?` for what is none."""
    try:
        return printable(Origin.of(URL(text, encoded=True)).netloc, limit=100)
    except ValueError:
        return "?"


def _explained(error: NotFound, wanted: Descriptor) -> NotFound:
    """The registry's answer, with what it means of a foreign layer."""
    hosts = ", ".join(dict.fromkeys(_hosts(wanted.urls)))
    error.what = f"foreign layer: {error.what}"
    if not wanted.urls:
        error.hint = "Its kind is one that registries need not keep, and its manifest does not say where else it lies."
        return error
    error.hint = (
        f"Registries need not keep such a layer; its manifest says that it lies at {hosts}."
        " `puller pull --foreign-layers` fetches it from there, without any of your secrets."
    )
    return error


def _hosts(urls: Sequence[str]) -> Iterator[str]:
    yield from map(host_of, urls[:_SHOWN])
    if len(urls) > _SHOWN:
        yield "…"


def _of_stranger(error: PullerError) -> PullerError:
    """The error of a host that is no registry: what is said there of accounts and names does not hold here."""
    if isinstance(error, Unauthorized):
        error.what = "the host of a foreign layer wants to know who we are, and is not told"
    if isinstance(error, NotFound | Unauthorized):
        error.hint = ""
    return error
