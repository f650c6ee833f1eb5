"""One batch of generated archives, read by everyone: what came of it, and a sentence for every disagreement."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.differential import ours
from tests.differential.compare import difference
from tests.differential.generator import archive
from tests.differential.known import only_complains, unexplained
from tests.differential.member import Reading
from tests.differential.oracles import Oracle


@dataclass(slots=True)
class Outcome:
    """`accepted` of the archives were ours to compare; `disagreements` is what no entry of the list explains."""

    accepted: int = 0
    disagreements: list[str] = field(default_factory=list)


def fuzzed(seeds: Sequence[int], samples: Sequence[bytes], oracles: Sequence[Oracle], folder: Path) -> Outcome:
    """Generate an archive for each seed and compare what we accept with the readings of all `oracles`."""
    accepted: list[tuple[int, bytes, Reading, Path]] = []
    for seed in seeds:
        data = archive(seed, samples)
        mine = ours.read(data)
        if data and not mine.refusal:  # no bytes at all are an empty archive to us, and none to the others
            path = folder / f"{seed}.tar"
            path.write_bytes(data)
            accepted.append((seed, data, mine, path))
    paths = [path for *_, path in accepted]
    answers = zip(*(oracle.read(paths) for oracle in oracles), strict=True)
    outcome = Outcome(len(accepted))
    for (seed, data, mine, path), theirs in zip(accepted, answers, strict=True):
        outcome.disagreements += (f"seed {seed}: {what}" for what in _disagreements(data, mine, theirs, oracles))
        path.unlink()
    return outcome


def _disagreements(data: bytes, mine: Reading, theirs: Sequence[Reading], oracles: Sequence[Oracle]) -> Iterator[str]:
    for oracle, other in zip(oracles, theirs, strict=True):
        found = difference(mine, other)
        if found is not None and (left := unexplained(oracle.name, data, mine, other, found)):
            yield f"{oracle.name} differs in {', '.join(sorted(left))}: ours {found.ours}, theirs {found.theirs}"
    if all(other.refusal and not only_complains(other) for other in theirs):
        yield f"accepted by us alone: {'; '.join(other.refusal for other in theirs)}"
