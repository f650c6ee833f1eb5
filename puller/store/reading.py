"""Reading stored content with its promise checked again."""

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Protocol

from puller.contracts.content import Body
from puller.errors import ContentCorrupt, ContentMissing, LimitExceeded, VerificationError
from puller.model.descriptor import Descriptor
from puller.model.digest import Digest
from puller.model.mediatype import OCTETS
from puller.store.naming import REPAIR
from puller.store.worker import Worker
from puller.stream.sink import Chunk, Sink, Tee
from puller.stream.verifier import BlobVerifier


class Fetching(Protocol):
    """The part of a store that reading needs."""

    def fetch(self, wanted: Descriptor, *, offset: int = 0) -> AbstractAsyncContextManager[Body]:
        """The bytes of a stored blob."""
        ...


def check_size(wanted: Descriptor, size: int) -> None:
    """Raise ContentCorrupt unless a stored blob of `size` bytes can be `wanted`."""
    if wanted.size not in (None, size):
        raise ContentCorrupt(
            "stored blob has another size",
            wanted=f"{wanted.size} bytes",
            got=f"{size} bytes",
            digest=wanted.digest,
            hint=REPAIR,
        )


async def read_checked(store: Fetching, descriptor: Descriptor, *, limit: int) -> bytes:
    """The whole of a small blob. Raises LimitExceeded above `limit` bytes, ContentCorrupt where the digest differs."""
    content = bytearray()
    verifier = BlobVerifier(descriptor)
    async with store.fetch(descriptor) as body:
        async for chunk in body:
            content += chunk
            if len(content) > limit:
                raise LimitExceeded(
                    "stored blob is too large", wanted=f"at most {limit} bytes", digest=descriptor.digest
                )
    with _found_corrupt(descriptor):
        verifier.write(content)
        verifier.finish()
    return bytes(content)


async def watch(store: Fetching, worker: Worker, descriptor: Descriptor, *watchers: Sink) -> None:
    """Read a stored blob through a verifier and `watchers`, one worker hop a chunk.

    Raises ContentCorrupt where it no longer is what its name says; the digest is judged before the watchers finish.
    """
    verifier, looking = BlobVerifier(descriptor), Tee(*watchers)

    def see(chunk: Chunk) -> None:
        with _found_corrupt(descriptor):
            verifier.write(chunk)
        looking.write(chunk)

    def finish() -> None:
        with _found_corrupt(descriptor):
            verifier.finish()
        looking.finish()

    async with store.fetch(descriptor) as body:
        async for chunk in body:
            await worker.run(see, chunk)
    await worker.run(finish)


async def is_damaged(store: Fetching, worker: Worker, digest: Digest) -> bool:
    """Whether a stored blob is no longer what its name says; one that is not there is not damaged."""
    try:
        await watch(store, worker, Descriptor(OCTETS, digest))
    except ContentCorrupt:
        return True
    except ContentMissing:
        pass
    return False


@contextmanager
def _found_corrupt(descriptor: Descriptor) -> Iterator[None]:
    try:
        yield
    except VerificationError as error:
        raise ContentCorrupt(
            "stored blob is not what its name says",
            wanted=error.wanted,
            got=error.got,
            digest=descriptor.digest,
            hint=REPAIR,
        ) from error
