"""Blob uploads: sessions, chunks in order, one-request pushes, mounts (distribution-spec end-4 to 6, 11, 13)."""

from __future__ import annotations

import asyncio
import re
import secrets
import uuid
from dataclasses import dataclass, field

from testregistry import errors
from testregistry.answer import Answer
from testregistry.body import Body
from testregistry.call import Call
from testregistry.grammar import digest_of_chunks, is_digest
from testregistry.manner import Manner
from testregistry.shelf import Draft
from testregistry.storage import Storage

_CONTENT_RANGE = re.compile(r"([0-9]+)-([0-9]+)")


@dataclass(slots=True)
class Session:
    """One upload under way; `state` is a query parameter a client must hand back as it got it."""

    name: str
    identity: str
    state: str
    draft: Draft
    is_closing: bool = False  # a chunk came that is too short for any but the last
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def location(self) -> str:
        return f"/v2/{self.name}/blobs/uploads/{self.identity}?_state={self.state}"

    def headers(self) -> tuple[tuple[str, str], ...]:
        # The end is inclusive, so an empty upload reads 0-0 as well: that is how registries have always said it.
        return (
            ("Location", self.location),
            ("Range", f"0-{max(self.draft.size - 1, 0)}"),
            ("Docker-Upload-UUID", self.identity),
        )


class Uploads:
    """Every upload under way, by session."""

    def __init__(self, storage: Storage, manner: Manner) -> None:
        self._storage = storage
        self._manner = manner
        self._sessions: dict[str, Session] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    async def handle(self, call: Call) -> Answer:
        """Answer a request to `/v2/<name>/blobs/uploads/[<session>]`. Raises Refusal."""
        if not call.target.session:
            if call.method != "POST":
                raise errors.unsupported("uploads are started with POST", allow="POST")
            return await self._start(call)
        session = self._find(call)
        if call.method in ("GET", "HEAD"):
            return Answer(204, session.headers())
        async with session.lock:
            self._find(call)  # it may have ended while another request held it
            return await self._change(call, session)

    async def _change(self, call: Call, session: Session) -> Answer:
        match call.method:
            case "PATCH":
                return await self._continue(call, session)
            case "PUT":
                return await self._complete(call, session)
            case "DELETE":
                self._end(session)
                return Answer(204)
            case _:
                raise errors.unsupported("uploads know GET, PATCH, PUT, DELETE", allow="GET, PATCH, PUT, DELETE")

    async def _start(self, call: Call) -> Answer:
        name, mount, digest = call.name, call.query.get("mount"), call.query.get("digest")
        if mount is not None and self._manner.mounts and (answer := self._mount(name, mount, call.query.get("from"))):
            return answer
        if mount is None and digest is not None and self._manner.single_post:
            return await self._push_at_once(call, digest)
        least = self._manner.chunk_min
        told = () if least is None else (("OCI-Chunk-Min-Length", str(least)),)
        return Answer(202, (*self._open(name).headers(), *told))

    def _open(self, name: str) -> Session:
        identity = str(uuid.uuid4())  # distribution-spec, "POST then PUT": the location must contain a UUID
        session = Session(name, identity, secrets.token_urlsafe(12), self._storage.shelf.draft(identity))
        self._sessions[identity] = session
        self._storage.repository(name)
        return session

    def _mount(self, name: str, digest: str, source: str | None) -> Answer | None:
        """Link a blob of another repository; without `from`, of any. None: not possible, so an upload begins."""
        if not is_digest(digest):
            return None
        sources = [found.name for found in self._storage] if source is None else [source]
        for candidate in sources:
            repository = self._storage.find(candidate)
            if repository is not None and digest in repository.blobs:
                self._storage.link_blob(name, digest)
                return _created(name, digest)
        return None

    async def _push_at_once(self, call: Call, digest: str) -> Answer:
        if not is_digest(digest):
            raise errors.digest_invalid(digest)
        session = self._open(call.name)
        try:
            await self._append(call, session)
        except BaseException:
            self._end(session)
            raise
        return await self._commit(session, digest)

    async def _continue(self, call: Call, session: Session) -> Answer:
        self._check_range(call, session, required="Content-Length" in call.headers)
        self._check_length_before(session)
        before = session.draft.size
        await self._append(call, session)
        session.is_closing = session.draft.size - before < (self._manner.chunk_min or 0)
        return Answer(202, session.headers())

    async def _complete(self, call: Call, session: Session) -> Answer:
        digest = call.query.get("digest")
        if digest is None or not is_digest(digest):
            raise errors.digest_invalid(digest or "")
        self._check_range(call, session, required=False)
        if call.headers.get("Content-Length", "0") != "0":
            self._check_length_before(session)
        await self._append(call, session)
        return await self._commit(session, digest)

    def _check_range(self, call: Call, session: Session, *, required: bool) -> None:
        """Chunks come in order, each starting right after the last one. Raises Refusal 416 with where we are.

        A PATCH without Content-Length and Content-Range is a stream of unknown length, the way docker pushes; one with
        a length but no range is taken as the next chunk only while nothing was sent.
        """
        text = call.headers.get("Content-Range")
        if text is None:
            if required and session.draft.size:
                raise self._out_of_order(session, "a further chunk needs a Content-Range")
            return
        match = _CONTENT_RANGE.fullmatch(text)
        if match is None:
            raise self._out_of_order(session, "Content-Range must read <first>-<last>")
        first, last = int(match.group(1)), int(match.group(2))
        if first != session.draft.size:
            raise self._out_of_order(session, "the chunk does not start where the last one ended")
        length = call.headers.get("Content-Length")
        if length is not None and int(length) != last - first + 1:
            raise errors.size_invalid(last - first + 1, int(length))

    def _check_length_before(self, session: Session) -> None:
        if session.is_closing:
            raise self._out_of_order(session, "the chunk before was too short for any but the last")

    def _out_of_order(self, session: Session, message: str) -> errors.Refusal:
        return errors.upload_invalid(message, status=416, headers=session.headers())

    async def _append(self, call: Call, session: Session) -> None:
        """Take the body; where it breaks off or is not what was announced, forget this chunk."""
        before = session.draft.size
        text = call.headers.get("Content-Range")
        try:
            async for piece in call.pieces():
                session.draft.append(piece)
            if text is not None:
                first, _, last = text.partition("-")
                wanted = int(last) - int(first) + 1
                if session.draft.size - before != wanted:
                    raise errors.size_invalid(wanted, session.draft.size - before)
        except BaseException:
            session.draft.truncate(before)
            raise

    async def _commit(self, session: Session, digest: str) -> Answer:
        body = session.draft.body()
        actual = await asyncio.to_thread(_digest, body, digest.partition(":")[0])
        if actual != digest:
            self._end(session)
            raise errors.digest_invalid(digest, "the uploaded content has another digest")
        self._storage.add_blob(session.name, digest, body)
        self._end(session)
        return _created(session.name, digest)

    def _find(self, call: Call) -> Session:
        identity = call.target.session or ""
        session = self._sessions.get(identity)
        if session is None or session.name != call.name:
            raise errors.upload_unknown(identity)
        if call.query.get("_state") != session.state:
            raise errors.upload_invalid("the upload URL was not used as it was given")
        return session

    def _end(self, session: Session) -> None:
        self._sessions.pop(session.identity, None)
        session.draft.drop()


def _created(name: str, digest: str) -> Answer:
    return Answer(201, (("Location", f"/v2/{name}/blobs/{digest}"), ("Docker-Content-Digest", digest)))


def _digest(body: Body, algorithm: str) -> str:
    return digest_of_chunks(body.chunks(), algorithm)
