"""Holding: what a repository's registry can do, asked of one of its images: tags, HEAD, ranges, referrers, quotas.

Nothing is changed there. Of what registries count as pulls it costs one at most: one manifest is read.
"""

from collections.abc import AsyncIterator
from contextlib import aclosing

from puller.errors import InputError, NotFound, PullerError, RegistryError
from puller.model import mediatype
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES, load_document
from puller.model.manifest import Index, parse_manifest
from puller.model.reference import Reference
from puller.model.text import printable
from puller.registry.answer import Answer, Request
from puller.registry.headers import content_digest, media_type
from puller.registry.identity.auth import Scope
from puller.registry.pinging.finding import (
    Finding,
    Listed,
    Quota,
    Ranged,
    Referred,
    Resolved,
    Trouble,
    Untried,
    Verdict,
)
from puller.registry.quota.headers import Quota as Allowed
from puller.registry.quota.headers import quota_of
from puller.registry.repository import ACCEPTED
from puller.registry.retry import Setback
from puller.registry.session import Session
from puller.registry.tags import list_tags

MOST_TAGS = 1000  # one page
_SAMPLE = 5


async def held(session: Session, name: str, reference: Reference) -> AsyncIterator[Finding]:
    """Findings about the repository that is called `name` there, in the order in which they are made."""
    looker = _Looker(session, f"{session.base}/{name}", Scope(name))
    tags: list[str] = []
    try:
        tags, more = await looker.tags()
        yield Listed(Verdict.OK if tags else Verdict.WARN, len(tags), more, tuple(tags[:_SAMPLE]))
    except PullerError as error:
        yield Trouble(Verdict.WARN, "tags", error)  # some registries list tags for their owners only
    chosen = _chosen(reference, tags)
    try:
        answer = await looker.head(chosen)
    except RegistryError as error:
        yield Trouble(Verdict.FAIL, "manifest", error)
        return
    digest = content_digest(answer.header("Docker-Content-Digest"))
    kind = media_type(next(iter(answer.header("Content-Type")), None)) or ""
    verdict = Verdict.WARN if digest is None else Verdict.OK
    yield Resolved(verdict, chosen, "" if digest is None else str(digest), printable(kind, limit=100))
    told = quota_of(answer.header, session.world.wall())
    if told is not None:
        yield _quota(told)
    try:
        yield await looker.ranged(chosen)
    except PullerError as error:
        yield Trouble(Verdict.WARN, "ranges", error)
    if digest is not None:
        try:
            yield await looker.referred(digest)
        except PullerError as error:
            yield Trouble(Verdict.WARN, "referrers", error)
    yield Untried(Verdict.NOTE)


def _quota(told: Allowed) -> Quota:
    window = None if told.window is None else round(told.window)
    return Quota(Verdict.WARN if told.remaining == 0 else Verdict.OK, told.limit, told.remaining, window)


def _chosen(reference: Reference, tags: list[str]) -> str:
    """The image that is looked at: the one that was named, else `latest`, else whatever there is."""
    if reference.digest is not None:
        return str(reference.digest)
    return reference.tag or ("latest" if "latest" in tags or not tags else tags[-1])


class _Looker:
    def __init__(self, session: Session, root: str, scope: Scope) -> None:
        self._session = session
        self._root = root
        self._scope = scope

    async def tags(self) -> tuple[list[str], bool]:
        found: list[str] = []
        async with aclosing(list_tags(self._session, f"{self._root}/tags/list", self._scope)) as listed:
            async for tag in listed:
                if len(found) == MOST_TAGS:
                    return found, True
                found.append(tag)
        return found, False

    async def head(self, name: str) -> Answer:
        answer, _ = await self._session.read(self._manifest("HEAD", name), limit=0)
        return answer

    async def ranged(self, name: str) -> Ranged:
        """Ask for all but the first byte of the smallest thing an image has, its config."""
        digest, size = await self._config(name)
        path = f"{self._root}/blobs/{digest}"
        answer = await self._session.attempt(Request("GET", path, f"blob {digest.short}", self._scope, start=1))
        if isinstance(answer, Setback):
            raise answer.error
        answer.close()
        honoured = answer.status == 206 or (answer.status == 416 and size is not None and size <= 1)
        return Ranged(Verdict.OK if honoured else Verdict.WARN, honoured, answer.status, answer.origin.netloc)

    async def referred(self, digest: Digest) -> Referred:
        """Distribution spec 1.1, end-12a: 200 where the API is there, even if nothing refers; else a tag serves."""
        path = f"{self._root}/referrers/{digest}"
        accept = (mediatype.OCI_INDEX,)
        try:
            _, raw = await self._session.read(Request("GET", path, "referrers", self._scope, accept), limit=MAX_BYTES)
            listed = load_document(raw, what="list of referrers", limit=MAX_BYTES).get("manifests")
            if isinstance(listed, list):
                return Referred(Verdict.OK, api=True, count=len(listed))
        except (NotFound, InputError):
            pass
        try:
            await self._session.read(self._manifest("HEAD", f"{digest.algorithm}-{digest.hex}"), limit=0)
        except NotFound:
            return Referred(Verdict.NOTE, api=False, count=0)
        return Referred(Verdict.NOTE, api=False, count=1)

    async def _config(self, name: str) -> tuple[Digest, int | None]:
        """A small blob of the image: the config of its manifest, of an index of the first one there."""
        for _ in range(3):  # an index may be in an index
            answer, raw = await self._session.read(self._manifest("GET", name), limit=MAX_BYTES)
            parsed = parse_manifest(raw, media_type(next(iter(answer.header("Content-Type")), None)))
            children = parsed.children
            if not children:
                break
            if not isinstance(parsed, Index):
                return children[0].digest, children[0].size
            name = str(children[0].digest)
        raise NotFound("no blob to try it on")

    def _manifest(self, method: str, name: str) -> Request:
        return Request(method, f"{self._root}/manifests/{name}", f"manifest {name}", self._scope, ACCEPTED)
