"""The registry itself: requests in, through authentication and faults, to the handler of their endpoint."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from testregistry import blobs, errors, manifests, referrers, tags, tokens
from testregistry.answer import Answer
from testregistry.auth import Auth, Bearer, Open
from testregistry.body import BytesBody, read
from testregistry.call import Call
from testregistry.content import Content, Root
from testregistry.documents import subject_of
from testregistry.fault import Fault, Faults, compose
from testregistry.grammar import digest_of
from testregistry.journal import Journal
from testregistry.listener import listening
from testregistry.manner import Manner
from testregistry.quota import Quota
from testregistry.service import Hook, Service
from testregistry.shelf import shelf_for
from testregistry.storage import Manifest, Storage
from testregistry.target import Target
from testregistry.uploads import Uploads
from testregistry.wire import Sleep


class TestRegistry:
    """A registry under test: its content, its faults, its journal. Made by `serve()`."""

    __test__ = False  # for pytest: this is no test class

    def __init__(self, storage: Storage, auth: Auth, faults: Faults, manner: Manner, sleep: Sleep) -> None:
        self.storage = storage
        self.auth = auth
        self.faults = faults
        self.quota: Quota | None = None
        self.url = ""
        self.host = ""
        self._service = Service(self._answer, sleep, self._digest_of)
        self._manner = manner
        self._uploads = Uploads(storage, manner)

    @property
    def journal(self) -> Journal:
        """Every request so far."""
        return self._service.journal

    @property
    def on_request(self) -> list[Hook]:
        """Called with each request before it is looked at: what a hook changes, this request sees."""
        return self._service.on_request

    @property
    def on_answer(self) -> list[Hook]:
        """Called once a request's answer is settled, before its first byte: what a hook changes, the next sees."""
        return self._service.on_answer

    def name(self, reference: str) -> str:
        """Return the full reference of `app:1` here: `127.0.0.1:41234/app:1`."""
        return f"{self.host}/{reference}"

    def add(self, reference: str, root: Root) -> str:
        """Store a manifest with all it stands on, tag it where the reference has a tag; return its digest."""
        repository, _, tag = reference.partition(":")
        for content in root.content():
            self._add_content(repository, content)
        if tag:
            self.tag(reference, root.digest)
        return root.digest

    def add_blob(self, repository: str, raw: bytes, *, algorithm: str = "sha256") -> str:
        """Store a blob and return its digest."""
        digest = digest_of(raw, algorithm)
        self.storage.add_blob(repository, digest, BytesBody(raw))
        return digest

    def add_blob_as(self, repository: str, label: str, raw: bytes) -> str:
        """Store a blob under a name it is given, a tarsum label say; return the name. Nobody checks that it fits."""
        self.storage.add_blob(repository, label, BytesBody(raw))
        return label

    def add_manifest(
        self,
        repository: str,
        raw: bytes,
        media_type: str,
        tag: str | None = None,
        *,
        digest: str | None = None,
        subject: str | None = None,
    ) -> str:
        """Store any bytes as a manifest of any media type, unchecked; return the digest it is found under."""
        digest = digest or digest_of(raw)
        subject = subject or subject_of(raw, media_type)
        self.storage.add_manifest(repository, Manifest(digest, media_type, raw, subject))
        if tag is not None:
            self.storage.tag(repository, tag, digest)
        return digest

    def tag(self, reference: str, digest: str) -> None:
        """Let `app:2` name a digest, present or not."""
        repository, _, tag = reference.partition(":")
        self.storage.tag(repository, tag, digest)

    def corrupt(self, repository: str, digest: str, raw: bytes) -> None:
        """Serve these bytes under this digest from now on."""
        self.storage.lie(repository, digest, BytesBody(raw))

    def expire_tokens(self) -> None:
        """Make every token issued so far invalid."""
        self.auth.expire_all()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        return await self._service.handle(request)

    async def _answer(self, call: Call) -> Answer:
        early = self.faults.claim(call.record, before_auth=True)
        return await compose(self._authenticated, early, self)(call)

    async def _authenticated(self, call: Call) -> Answer:
        if call.target.kind not in ("token", "other"):
            self.auth.check(call)
        late = self.faults.claim(call.record, before_auth=False)
        return await compose(self._counted, late, self)(call)

    async def _counted(self, call: Call) -> Answer:
        quota = self.quota
        if quota is None or call.target.kind in ("token", "other"):
            return await self._dispatch(call)
        answer = quota.refusal(call, self.auth) or await self._dispatch(call)
        return quota.told(answer, call, self.auth)

    async def _dispatch(self, call: Call) -> Answer:
        try:
            answer = await self._route(call)
        except errors.Refusal as refusal:
            # Answered here, inside the faults, so that a refusal can be cut or changed like anything else.
            answer = refusal.answer()
        return answer.with_headers(*self._manner.warning_headers())

    async def _route(self, call: Call) -> Answer:
        match call.target.kind:
            case "ping":
                return Answer(200, (("Content-Type", "application/json"),), BytesBody(b"{}"))
            case "manifest":
                return await manifests.handle(self.storage, call, self._manner)
            case "blob":
                return await blobs.handle(self.storage, call, self._manner)
            case "upload":
                return await self._uploads.handle(call)
            case "tags":
                return await tags.handle_tags(self.storage, call, self._manner)
            case "catalog":
                return await tags.handle_catalog(self.storage, call, self._manner)
            case "referrers":
                return await referrers.handle(self.storage, call, self._manner)
            case "token" if isinstance(self.auth, Bearer):
                return await tokens.handle(self.auth, call)
            case _:
                raise errors.not_found()

    def _digest_of(self, target: Target) -> str | None:
        repository = self.storage.find(target.repository or "")
        if target.reference is None or repository is None or target.kind != "manifest":
            return target.reference
        return repository.tags.get(target.reference, target.reference)

    def _add_content(self, repository: str, content: Content) -> None:
        if content.is_manifest:
            raw = read(content.body)
            manifest = Manifest(content.digest, content.media_type, raw, content.subject)
            self.storage.add_manifest(repository, manifest)
        else:
            self.storage.add_blob(repository, content.digest, content.body)


@asynccontextmanager
async def serve(
    *,
    port: int = 0,
    data: Path | None = None,
    auth: Auth | None = None,
    faults: Iterable[Fault] = (),
    manner: Manner | None = None,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    sleep: Sleep = asyncio.sleep,
    quota: Quota | None = None,
) -> AsyncIterator[TestRegistry]:
    """Run a registry for the length of the `async with` block.

    With `data` its content lies in that directory and is found there again by the next one. `manner` is what the
    specification leaves open; `sleep` is what stalls and drips wait with; `quota` what clients may pull.
    """
    registry = TestRegistry(Storage(shelf_for(data)), auth or Open(), Faults(faults), manner or Manner(), sleep)
    registry.quota = quota
    async with listening(registry.handle, host, port, tls) as address:
        registry.host, registry.url = address.host, address.url
        if not isinstance(registry.auth, Bearer):
            yield registry
        elif registry.auth.separate:
            async with listening(registry.handle, host, 0, tls) as token_address:
                registry.auth.endpoint = f"{token_address.url}/token"
                yield registry
        else:
            registry.auth.endpoint = f"{registry.url}/token"
            yield registry
