"""Layers of a pull: large, a few at a time, each read for what it proves while it is written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import anyio

from puller.model.digest import Digest
from puller.model.facts import Facts
from puller.model.mediatype import compression_of
from puller.ops.pulling.gate import Gate
from puller.ops.pulling.ledger import content_checks, layer_checks, proved_earlier
from puller.ops.pulling.plan import Depth, Step
from puller.ops.pulling.watch import LayerWatch, check_diff_id, stop_when_cancelled
from puller.ops.tasks import one_error
from puller.stream.layer import LayerReader


def unheard(digest: Digest, /) -> None:
    """A listener that does not listen."""


@dataclass(frozen=True, slots=True)
class _Proof:
    """What is known of a blob that is in the store; `earlier`: by an earlier reading, none was needed now."""

    facts: Facts
    earlier: bool = False


class Layers:
    """Brings layers through the gate, as deep as `depth` says; `limiter` bounds how many flow at once.

    `max_unpacked` is the most bytes that one layer may be when unpacked (THREATS D6).
    """

    def __init__(self, gate: Gate, depth: Depth, limiter: anyio.CapacityLimiter, *, max_unpacked: int) -> None:
        self._gate = gate
        self._depth = depth
        self._limiter = limiter
        self._max_unpacked = max_unpacked

    async def bring(self, steps: Sequence[Step], arrived: Callable[[Digest], None] = unheard) -> None:
        """All of `steps`, or the gravest of the errors that stopped one of them; `arrived` hears of each at once."""
        await self._gate.lease.hold([step.descriptor.digest for step in steps])

        async def one(step: Step) -> None:
            await self._one(step)
            arrived(step.descriptor.digest)

        with one_error():
            async with anyio.create_task_group() as group:
                for step in steps:
                    group.start_soon(one, step)

    async def again(self, step: Step) -> None:
        """One that was brought and has been found damaged on the disk since."""
        await self._gate.store.discard_damaged(step.descriptor.digest)
        await self._one(step)

    async def _one(self, step: Step) -> None:
        async with self._limiter:
            gate = self._gate
            started = gate.ledger.now()
            watches: list[LayerWatch] = []

            def watch() -> list[LayerWatch]:
                watches[:] = [self._watch(step)] if self._looks_into(step) else []
                return watches

            transferred, proof = await gate.bring(
                step, watch, seen=lambda: self._proved(step, watches), known=lambda: self._known(step)
            )
        actual = step.descriptor if transferred is None else transferred.descriptor
        checks = content_checks(step.descriptor, actual)
        checks += layer_checks(step.diff_id, proof.facts, self._depth, step.reason)
        gate.ledger.add(step, transferred, proved_earlier(checks) if proof.earlier else checks, started)

    async def _known(self, step: Step) -> _Proof:
        """What is known of a blob that was here before; it is read where we have not hashed it ourselves, or have not
        looked into it as deep. Another tool may have put it there, so its name alone proves nothing.
        """
        store = self._gate.store
        facts = await store.facts(step.descriptor.digest)
        if facts.verified and (self._suffices(facts, step) or not self._looks_into(step)):
            check_diff_id(step.diff_id, facts)
            return _Proof(facts, earlier=True)
        watches = [self._watch(step)] if self._looks_into(step) else []
        await store.watch(step.descriptor, *watches)
        check_diff_id(step.diff_id, facts)
        return await self._proved(step, watches)

    async def _proved(self, step: Step, watches: Sequence[LayerWatch]) -> _Proof:
        """Of a blob whose every byte was hashed just now: recorded, so that nobody has to read it again."""
        facts = replace(watches[0].facts if watches else Facts(), verified=True)
        await self._gate.store.prove(step.descriptor.digest, facts)
        return _Proof(facts)

    def _suffices(self, facts: Facts, step: Step) -> bool:
        if facts.diff_id is None or (step.diff_id is not None and facts.diff_id.algorithm != step.diff_id.algorithm):
            return False
        return self._depth is not Depth.FULL or bool(facts.tarsum or facts.tarsum_refusal)

    def _looks_into(self, step: Step) -> bool:
        return step.is_layer and self._depth is not Depth.DIGEST_ONLY

    def _watch(self, step: Step) -> LayerWatch:
        reader = LayerReader(
            promised=compression_of(step.descriptor.media_type),
            tarsum=self._depth is Depth.FULL,
            algorithm=step.diff_id.algorithm if step.diff_id else "sha256",
            limit=self._max_unpacked,
            pulse=stop_when_cancelled,
        )
        return LayerWatch(reader, expected=step.diff_id)
