"""Messages between the crew and its child: one packet each, a line of JSON, and behind it bytes as they are.

What the child says is believed no more than a layer is: it might be under the layer's control.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from puller.contracts.layers import LayerBlob
from puller.errors import LayerError, LimitExceeded, PullerError
from puller.model.alteration import Altered
from puller.model.digest import Digest
from puller.model.document import load_document
from puller.model.text import printable
from puller.rootfs.applied import Applied
from puller.rootfs.idmap import IdMap
from puller.rootfs.job import Job, Outcome
from puller.rootfs.limits import Limits
from puller.rootfs.manner import Manner

LONGEST: Final = 192 << 10  # bytes of a packet: what a socket takes that nobody has tuned
_MOST_PATHS: Final = 64 << 20  # bytes of all paths of one outcome
_FULL: Final = 64 << 10  # a packet of paths is sent from this size on; one more path has 64 KiB at most
_NO_PART: Final = frozenset((b"", b".", b".."))
_SHOWN: Final = 100
_PATHS: Final = tuple(field.name for field in fields(Applied) if field.name not in ("entries", "size"))
_CONTEXT: Final = ("what", "where", "wanted", "got", "hint", *PullerError.context)


@dataclass(frozen=True, slots=True)
class Order:
    """What the child is told of a job; the descriptors of root, blob, sidecar and answers come with it."""

    compression: str | None
    diff_id: Digest | None
    start: int
    size: int | None
    alone: bool
    jailed: bool
    manner: Manner

    @classmethod
    def of(cls, job: Job, manner: Manner, *, jailed: bool) -> "Order":
        """The order for `job`."""
        blob = job.blob
        return cls(blob.compression, blob.diff_id, blob.start, blob.size, job.alone, jailed, manner)

    def job(self, root: int, blob: int, sidecar: int) -> Job:
        """The job again, with the descriptors that came with it."""
        layer = LayerBlob(blob, self.compression, self.diff_id, self.start, self.size)
        return Job(root, layer, sidecar, self.alone)

    def encode(self) -> bytes:
        """As one packet."""
        diff_id = None if self.diff_id is None else str(self.diff_id)
        return _packet({**asdict(self), "diff_id": diff_id})

    @classmethod
    def decode(cls, packet: bytes) -> "Order":
        """From a packet that `encode` made."""
        said = json.loads(packet)
        manner = said["manner"]
        for name in ("uids", "gids"):
            manner[name] = IdMap(tuple((first, outside, count) for first, outside, count in manner[name]["ranges"]))
        manner["limits"] = Limits(**manner["limits"])
        diff_id = None if said["diff_id"] is None else Digest.parse(said["diff_id"])
        return cls(**{**said, "diff_id": diff_id, "manner": Manner(**manner)})


def progress(size: int) -> bytes:
    """So many bytes of the blob were read."""
    return _packet({"read": size})


def ended(status: int) -> bytes:
    """The process is gone; `status` as of os.waitstatus_to_exitcode."""
    return _packet({"ended": status})


def failure(error: PullerError) -> bytes:
    """It went wrong."""
    return _packet({"failure": error.facts()})


def success(outcome: Outcome) -> Iterator[bytes]:
    """It went well: some packets with paths, then one with the rest."""
    for name in _PATHS:
        gathered: list[bytes] = []
        size = 0
        for path in getattr(outcome.applied, name):
            gathered.append(path)
            size += len(path) + 1
            if size >= _FULL:
                yield _packet({"paths": name}, b"\0".join(gathered))
                gathered, size = [], 0
        if gathered:
            yield _packet({"paths": name}, b"\0".join(gathered))
    yield _packet(
        {
            "success": {
                "entries": outcome.applied.entries,
                "size": outcome.applied.size,
                "diff_id": str(outcome.diff_id),
                "unpacked_size": outcome.unpacked_size,
                "altered": [asdict(altered) for altered in outcome.altered],
                "missing": outcome.missing,
            }
        }
    )


def _packet(said: dict[str, object], body: bytes = b"") -> bytes:
    return json.dumps(said, separators=(",", ":")).encode() + b"\n" + body


class Answer:
    """All that the child says of one job. Raises LayerError for what it cannot have said in its right mind."""

    def __init__(self) -> None:
        self.read = 0
        self.outcome: Outcome | None = None
        self.error: PullerError | None = None
        self.ended: int | None = None
        self._paths: dict[str, list[bytes]] = {name: [] for name in _PATHS}
        self._size = 0

    def hear(self, packet: bytes) -> None:
        """Take the next packet."""
        head, _, body = packet.partition(b"\n")
        try:
            for key, value in load_document(head, what="an answer", limit=LONGEST).items():
                self._take(key, value, body)
        except LimitExceeded:
            raise
        except (PullerError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise LayerError("the unpacking process lost its mind", got=f"{type(error).__name__}: {error}") from error

    def _take(self, key: str, value: Any, body: bytes) -> None:
        match key:
            case "read":
                self.read = int(value)
            case "paths":
                self._size += len(body)
                if self._size > _MOST_PATHS:
                    raise LimitExceeded("too many directories to speak of", wanted=f"at most {_MOST_PATHS} bytes")
                self._paths[value] += map(_true, body.split(b"\0"))
            case "success":
                self.outcome = self._outcome(value)
            case "failure":
                self.error = _error(value)
            case "ended":
                self.ended = int(value)
            case _:
                raise ValueError(key)

    def _outcome(self, said: dict[str, Any]) -> Outcome:
        paths = {name: tuple(found) for name, found in self._paths.items()}
        return Outcome(
            applied=Applied(int(said["entries"]), int(said["size"]), **paths),
            diff_id=Digest.parse(said["diff_id"]),
            unpacked_size=int(said["unpacked_size"]),
            altered=tuple(_altered(**altered) for altered in said["altered"]),
            missing=tuple(map(printable, said["missing"])),
        )


def _true(path: bytes) -> bytes:
    """A true path below the root. Any other would lead whoever acts on it, without walls, out of the tree."""
    if path and not _NO_PART.isdisjoint(path.split(b"/")):
        raise ValueError(f"a path that is none: {path[:_SHOWN]!r}")
    return path


def _altered(what: str, reason: str, count: int, examples: list[str]) -> Altered:
    return Altered(printable(str(what)), printable(str(reason)), int(count), tuple(map(printable, examples)))


def _error(facts: dict[str, Any]) -> PullerError:
    """The error again, of its own class; a LayerError where there is none of that name."""
    kind = next((kind for kind in _kinds(PullerError) if kind.__name__ == facts["error"]), LayerError)
    known = {name: facts[name] for name in _CONTEXT if name in facts}
    if not isinstance(known["what"], str):
        raise TypeError("a failure of nothing")
    return kind(**known)


def _kinds(kind: type[PullerError]) -> Iterator[type[PullerError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
