"""Mirrored: one repository at several hosts, as an ImageSource: each request goes to the first that can answer it.

A mirror may be dead, slow, incomplete, or lie: as long as another host is right, nothing of that fails a pull.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from puller.contracts.content import Body
from puller.errors import PullerError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.event import Report
from puller.model.reference import Reference
from puller.registry.mirrors.health import Health
from puller.registry.mirrors.inquiry import Inquiry
from puller.registry.mirrors.relay import Begin, Relay
from puller.registry.mirrors.replica import Replica
from puller.registry.repository import Repository

_WRONG = "served wrong bytes"


class Mirrored:
    """An ImageSource, a LabelFetcher and Alternatives. Safe to use from many tasks of one event loop.

    `replicas`: in the order in which they are asked; the last one is the registry, or stands for it. It alone is asked
    for lists: a mirror that keeps what it was asked for has but a part of them, and does not know (THREATS H3).
    """

    def __init__(self, replicas: Sequence[Replica], health: Health, report: Report, *, place: str) -> None:
        self.place = place
        self._replicas = tuple(replicas)
        self._health = health
        self._report = report
        self._refused: set[Replica] = set()
        self._kept: dict[Digest, Inquiry] = {}
        self._served: dict[Digest, set[Replica]] = {}
        self._disowned: dict[Digest, set[Replica]] = {}
        self._news: dict[Digest, set[str]] = {}  # of these nobody has heard yet

    async def resolve(self, reference: Reference) -> Descriptor:
        """What `reference` names, by the first host that may say it and does. Raises what the last one raised.

        A digest is its own proof, so for that anybody may be asked who may be asked for content.
        """
        pinned = reference.digest is not None
        able = [one for one in self._replicas if (one.endpoint.fetches if pinned else one.endpoint.resolves)]
        inquiry = self._inquiry(f"manifest {reference.digest.short if reference.digest else reference.tag}", able)
        while True:
            turn = inquiry.next()
            try:
                repository = turn.repository
                descriptor = await repository.resolve(reference)
            except PullerError as error:
                inquiry.failed(turn, error)
                continue
            inquiry.answered(turn)
            if repository.keeps(descriptor.digest):
                self._kept[descriptor.digest] = inquiry
            return descriptor

    @asynccontextmanager
    async def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AsyncIterator[Body]:
        """The bytes of `wanted` from `offset` to the end; a host that breaks for good is followed by the next one."""

        def begin(repository: Repository, position: int) -> AbstractAsyncContextManager[Body]:
            return repository.fetch(wanted, offset=position)

        disowned = self._disowned.get(wanted.digest, set())
        able = [one for one in self._replicas if one.endpoint.fetches and one not in disowned]
        served = self._served[wanted.digest] = set()
        inquiry = self._kept.pop(wanted.digest, None) or self._inquiry(f"blob {wanted.digest.short}", able)
        news = self._news.pop(wanted.digest, set())
        inquiry.pass_over([one.host for one in self._replicas if one in disowned], _WRONG, news=news)
        async with self._relayed(inquiry, begin, offset, served) as body:
            yield body

    @asynccontextmanager
    async def labelled(self, label: str) -> AsyncIterator[Body]:
        """The blob that a schema 1 manifest names by a tarsum label.

        The registry is asked first: a label proves less than a digest, so others have it only where it does not.
        """

        def begin(repository: Repository, position: int) -> AbstractAsyncContextManager[Body]:
            return repository.labelled(label)

        able = sorted((one for one in self._replicas if one.endpoint.fetches), key=lambda one: one.endpoint.is_mirror)
        inquiry = self._inquiry(f"blob {label[-64:][:12]}", able)
        async with self._relayed(inquiry, begin, 0, set(), whole=True) as body:
            yield body

    def disown(self, digest: Digest) -> bool:
        """See Alternatives. Of several who gave parts of it, the mirrors are held to have done it."""
        served = self._served.pop(digest, set())
        if not served:
            return False
        mirrors = {replica for replica in served if replica.endpoint.is_mirror}
        disowned = self._disowned.setdefault(digest, set())
        disowned |= (mirrors if len(served) > 1 else served) or served
        for replica in served & disowned:
            self._news.setdefault(digest, set()).add(replica.host)
            self._health.note_failure(replica.host, _WRONG, lied=True)
        return any(one.endpoint.fetches and one not in disowned for one in self._replicas)

    async def holds(self, descriptor: Descriptor) -> bool:
        """See ImageSource."""
        return True

    async def referrers(self, subject: Digest) -> Sequence[Descriptor]:
        """What refers to `subject`, as the registry has it. Raises RegistryError."""
        return await self._replicas[-1].repository(hasty=False).referrers(subject)

    def tags(self) -> AsyncIterator[str]:
        """The names of all tags, as the registry has them. Raises RegistryError."""
        return self._replicas[-1].repository(hasty=False).tags()

    def _inquiry(self, what: str, able: Sequence[Replica]) -> Inquiry:
        return Inquiry(what, able, self._health, self._report, refused=self._refused)

    @asynccontextmanager
    async def _relayed(
        self, inquiry: Inquiry, begin: Begin, offset: int, served: set[Replica], *, whole: bool = False
    ) -> AsyncIterator[Relay]:
        def done(replica: Replica) -> None:
            self._health.note_success(replica.host)

        relay = Relay(inquiry, begin, offset, served=served, done=done, whole=whole)
        await relay.open()
        try:
            yield relay
        except BaseException as error:
            await relay.close(error)
            raise
        await relay.close()
