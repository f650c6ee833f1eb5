"""Repository: one repository of a registry, to copy images from and to, and to keep its tags."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace

from puller.contracts.content import Body, Ingest
from puller.errors import (
    DigestMismatch,
    InvalidReference,
    NotFound,
    ProtocolViolation,
    PullerError,
    RegistryError,
    SizeMismatch,
)
from puller.model import mediatype
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.document import MAX_BYTES
from puller.model.manifest import kind_of
from puller.model.mediatype import DOCUMENTS
from puller.model.reference import Reference, is_tag
from puller.model.report import Origin
from puller.registry.answer import Answer, Request
from puller.registry.download.body import Download
from puller.registry.download.kept import KeptBody
from puller.registry.download.parallel import in_pieces
from puller.registry.download.resume import check_claims
from puller.registry.headers import content_digest, content_length, media_type
from puller.registry.identity.auth import Scope
from puller.registry.referrers import list_referrers
from puller.registry.session import Session
from puller.registry.tags import list_tags
from puller.registry.untagging import Untagging
from puller.registry.uploading.documents import put_document
from puller.registry.uploading.ingesting import Ingesting
from puller.registry.uploading.referrer import list_referrer
from puller.registry.uploading.upload import Place
from puller.stream.sink import Sink

# Today's kinds, the richest first. Schema 1 is not asked for; a registry that has nothing else sends it all the same.
ACCEPTED = (
    mediatype.OCI_INDEX,
    mediatype.OCI_MANIFEST,
    mediatype.DOCKER_LIST,
    mediatype.DOCKER_MANIFEST,
    mediatype.OCI_ARTIFACT,
)


class Repository:
    """An ImageSource, ImageTarget and TagKeeper of one repository. Safe to use from many tasks of one event loop.

    `called`: its name at the host of `session`, where mirrors have another. `mount_from`: another repository of this
    registry, which may have blobs that are to be brought here. `lenders`: which other repository has a blob.
    """

    def __init__(
        self,
        session: Session,
        reference: Reference,
        *,
        called: str | None = None,
        mount_from: str | None = None,
        lenders: Callable[[Digest], str | None] | None = None,
    ) -> None:
        name = called or reference.repository
        self._session = session
        self._registry = reference.registry
        self._repository = reference.repository
        self._root = f"{session.base}/{name}"
        self._scope = Scope(name)
        self._kept: KeptBody | None = None
        self._place = Place(session, name, Scope(name, ("pull", "push")))
        self._in_pieces: set[Digest] = set()
        self._ingesting = Ingesting(self._place, self, own=reference.repository, mount_from=mount_from, lenders=lenders)
        self._untagging = Untagging(self._place, self)

    @property
    def place(self) -> str:
        """Registry and repository, as references name them."""
        return f"{self._registry}/{self._repository}"

    def keeps(self, digest: Digest) -> bool:
        """Whether this manifest is at hand for the next `fetch`, since it came with the answer to its name."""
        return self._kept is not None and self._kept.descriptor.digest == digest

    async def resolve(self, reference: Reference) -> Descriptor:
        """What `reference` names now. Raises RegistryError, and VerificationError where the answer contradicts itself.

        A tag costs one HEAD, which registries do not count as a pull; where HEAD says too little (N24), and for a
        digest, the manifest is read at once and kept for the `fetch` that follows. A digest wins over a tag (C2).
        """
        self._refuse_other(reference)
        try:
            if reference.digest is not None:
                return await self._read(str(reference.digest), reference.digest)
            tag = reference.tag or "latest"
            return await self._ask_head(tag) or await self._read(tag, None)
        except PullerError as error:
            error.at(reference=reference, phase="resolve", host=self._session.origin.netloc)
            raise

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        """The bytes of `wanted` from `offset` to the end, or an error; cut lines are resumed inside.

        Manifests and indexes are capped at 4 MiB. The body is not verified.
        """
        kept, self._kept = self._kept, None
        if kept is not None and kept.descriptor.digest == wanted.digest:
            self._session.remark("read when its name was looked up, and not asked for again", wanted.digest.short)
            yield kept.after(offset)
            return
        self._kept = kept
        download = self._download(wanted, offset)
        with self._closing(download, wanted.digest), self._session.shares.blob():
            await download.open()
            async with self._flowing(download, wanted, offset) as body:
                yield body

    @asynccontextmanager
    async def _flowing(self, download: Download, wanted: Descriptor, offset: int) -> AsyncIterator[Body]:
        """The download itself, or what brings a large blob in pieces.

        Once that has been tried and the blob is wanted from its start again, its pieces may be to blame.
        """
        pool, size = self._session.pool, wanted.size or 0
        again = wanted.digest in self._in_pieces and not offset
        if pool is None or again or wanted.media_type in DOCUMENTS or not pool.policy.suits(size, size - offset):
            yield download
            return
        async with in_pieces(download, self._session, wanted, offset=offset, pool=pool) as body:
            try:
                yield body
            finally:
                if body.origin.connections > 1:
                    self._in_pieces.add(wanted.digest)

    @asynccontextmanager
    async def labelled(self, label: str) -> AsyncIterator[Body]:
        """The blob that a schema 1 manifest names by a tarsum label, as it is written there; else as `fetch`."""
        request = Request("GET", f"{self._root}/blobs/{label}", f"blob {label[-64:][:12]}", self._scope)
        download = Download(self._session, request, None, offset=0, limit=None)
        with self._closing(download, label):
            await download.open()
            yield download

    @contextmanager
    def _closing(self, download: Download, digest: Digest | str) -> Iterator[None]:
        """Close it at the end; what fails until then is told with who was asked, and how often."""
        try:
            yield
        except PullerError as error:
            origin = download.origin
            error.at(reference=self.place, digest=digest, phase="fetch")
            error.at(host=origin.redirect or origin.host, attempts=origin.attempts)
            raise
        finally:
            download.close()

    async def exists(self, descriptor: Descriptor) -> bool:
        """Whether the repository has it: one HEAD. Raises RegistryError; SizeMismatch where it has another size."""
        kind = "manifests" if descriptor.media_type in DOCUMENTS else "blobs"
        accept = (descriptor.media_type,) if kind == "manifests" else ("*/*",)
        path = f"{self._root}/{kind}/{descriptor.digest}"
        request = Request("HEAD", path, f"{kind[:-1]} {descriptor.digest.short}", self._place.scope, accept)
        try:
            answer, _ = await self._session.read(request, limit=0)
        except (NotFound, ProtocolViolation) as error:
            if error.phase == "authentication":
                raise
            return False  # some registries know no HEAD: what is there is then brought once more
        size = content_length(answer.header("Content-Length"))
        if kind == "blobs" and None not in (size, descriptor.size) and size != descriptor.size:
            what = "the registry holds content of another size"
            raise SizeMismatch(what, wanted=descriptor.size, got=size, digest=descriptor.digest)
        check_claims(answer, descriptor)
        return True

    @asynccontextmanager
    async def ingest(self, expected: Descriptor, *watchers: Sink) -> AsyncIterator[Ingest | None]:
        """Open an ingest whose bytes go into the repository; None: it has them already.

        What another repository is known to lend is mounted unasked, which costs one request. Blobs are not complete
        before `commit`. Where an error leaves `may_go_on` true, opening it again waits a while
        and goes on where the line broke, or raises what it was. Raises RegistryError.
        """
        try:
            async with self._ingesting.ingest(expected, watchers) as ingest:
                yield ingest
        except RegistryError as error:
            error.at(reference=self.place, digest=expected.digest, phase="upload")
            raise

    def may_go_on(self, digest: Digest) -> bool:
        """Whether the last ingest of `digest` was interrupted by what may pass."""
        return self._ingesting.may_go_on(digest)

    def was_mounted(self, digest: Digest) -> bool:
        """Whether another repository has lent this blob, so that nothing was sent."""
        return self._ingesting.was_mounted(digest)

    async def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """Have the registry name a manifest that it holds. Raises RegistryError, VerificationError."""
        self._refuse_other(reference)
        raw = bytearray()
        async with self.fetch(descriptor) as body:
            async for chunk in body:
                raw += chunk
        await self.put_manifest(bytes(raw), descriptor, reference.tag or "latest")

    async def put_manifest(self, raw: bytes, descriptor: Descriptor, name: str) -> None:
        """Put a manifest or index under `name`, a tag or its digest; all it refers to must be there.

        The digest of a signed manifest of schema 1 is that of its payload. Raises ContentUnknown where some of that is
        missing, and any other RegistryError; DigestMismatch where the registry says that it has kept something else
        (N22).
        """
        if name != str(descriptor.digest):
            _check_tag(name)
        try:
            receipt = await put_document(self._place, raw, descriptor, name)
            await list_referrer(self._place, raw, descriptor, receipt)
        except PullerError as error:
            error.at(reference=self.place, digest=descriptor.digest, phase="push")
            raise

    async def named(self, tag: str) -> Digest | None:
        """The digest that a tag has now, asked as one who pushes: one HEAD, and a GET where that does not tell it."""
        _check_tag(tag)
        request = Request("HEAD", f"{self._root}/manifests/{tag}", f"manifest {tag}", self._place.scope, ACCEPTED)
        try:
            answer, _ = await self._session.read(request, limit=0)
            told = content_digest(answer.header("Docker-Content-Digest"))
            return told or Digest.of((await self._session.read(replace(request, method="GET"), limit=MAX_BYTES))[1])
        except NotFound as error:
            if error.phase == "authentication":
                raise
            return None

    def tags(self) -> AsyncIterator[str]:
        """The names of all tags, page by page in the registry's order. Raises RegistryError."""
        return list_tags(self._session, f"{self._root}/tags/list", self._scope)

    async def untag(self, tag: str, expected: Digest) -> None:
        """See TagKeeper. Raises RegistryError, DigestMismatch, Unsupported."""
        _check_tag(tag)
        try:
            await self._untagging.untag(tag, expected)
        except PullerError as error:
            error.at(reference=f"{self.place}:{tag}", phase="untag")
            raise

    async def holds(self, descriptor: Descriptor) -> bool:
        """True: what is not there shows when it is fetched."""
        return True

    async def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """See ImageSource. Raises RegistryError."""
        try:
            return await list_referrers(self._session, self._root, self._scope, subject)
        except PullerError as error:
            error.at(reference=self.place, digest=subject, phase="referrers")
            raise

    def _download(self, wanted: Descriptor, offset: int) -> Download:
        if wanted.media_type in DOCUMENTS:
            request = self._manifest_request("GET", str(wanted.digest), (wanted.media_type,))
            return Download(self._session, request, wanted, offset=offset, limit=MAX_BYTES)
        path = f"{self._root}/blobs/{wanted.digest}"
        request = Request("GET", path, f"blob {wanted.digest.short}", self._scope)
        return Download(self._session, request, wanted, offset=offset, limit=None)

    def _manifest_request(self, method: str, name: str, accept: tuple[str, ...] = ACCEPTED) -> Request:
        path = f"{self._root}/manifests/{name}"
        return Request(method, path, f"manifest {name}", self._scope, accept)

    async def _ask_head(self, tag: str) -> Descriptor | None:
        """The descriptor by the headers of a HEAD, or None where they do not suffice."""
        try:
            answer, _ = await self._session.read(self._manifest_request("HEAD", tag), limit=0)
        except (NotFound, ProtocolViolation) as error:
            if error.phase == "authentication":
                raise  # the token server's fault; it would only be asked the same again
            return None  # some registries know no HEAD, or not this one; GET decides
        digest = content_digest(answer.header("Docker-Content-Digest"))
        size = content_length(answer.header("Content-Length"))
        kind = _document_type(answer)
        if digest is None or not size or kind is None:
            return None
        return Descriptor(kind, digest, size)

    async def _read(self, name: str, pinned: Digest | None) -> Descriptor:
        answer, raw = await self._session.read(self._manifest_request("GET", name), limit=MAX_BYTES)
        kind = _document_type(answer) or kind_of(raw)
        claimed = content_digest(answer.header("Docker-Content-Digest"))
        if kind in mediatype.SCHEMA1_MANIFESTS:
            # Its digest is that of the payload without signatures, which is not computed here.
            return self._keep(Descriptor(kind, pinned or claimed or Digest.of(raw), len(raw)), raw, answer)
        actual = Digest.of(raw, (pinned or claimed or Digest.of(b"")).algorithm)
        for promised in (pinned, claimed):
            if promised is not None and promised.algorithm == actual.algorithm and promised != actual:
                raise DigestMismatch("the manifest is not the one promised", wanted=promised, got=actual)
        return self._keep(Descriptor(kind, actual, len(raw)), raw, answer)

    def _keep(self, descriptor: Descriptor, raw: bytes, answer: Answer) -> Descriptor:
        """Have it at hand for the `fetch` that follows."""
        host = answer.origin.netloc if answer.redirected else None
        self._kept = KeptBody(descriptor, raw, Origin(self._session.origin.netloc, host))
        return descriptor

    def _refuse_other(self, reference: Reference) -> None:
        if (reference.registry, reference.repository) != (self._registry, self._repository):
            wanted = self.place
            raise InvalidReference("reference of another repository", wanted=wanted, got=reference.name)


def _document_type(answer: Answer) -> str | None:
    """The kind of document by Content-Type; None where it names none (N23)."""
    types = answer.header("Content-Type")
    kind = media_type(types[0]) if len(types) == 1 else None
    return kind if kind in DOCUMENTS else None


def _check_tag(name: str) -> None:
    if not is_tag(name):
        raise InvalidReference("invalid tag", got=repr(name)[:160])
