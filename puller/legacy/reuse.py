"""Which ID each image of a chain gets: legacy IDs are kept where proved, taken IDs are probed past (LEGACY.md c.7).

Pure: what must be looked up is asked for by yielding a Look, and answered by sending a Judgement. `judge` makes those
of facts; whoever answers holds the lock under which nothing else chooses.
"""

import enum
import hashlib
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

from puller.legacy.idchain import Candidate


class Verdict(enum.Enum):
    """What is known under an ID."""

    ABSENT = enum.auto()
    MATCHES = enum.auto()
    CLASHES = enum.auto()


@dataclass(frozen=True, slots=True)
class Look:
    """The question: is the image under this ID this candidate, on top of this chosen parent?"""

    image_id: str
    candidate: Candidate
    parent: str | None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer; `reason` is the original's sentence, for the log."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True, slots=True)
class Choice:
    """The ID an image gets, and the one chosen for its parent; None for the base.

    `is_present` says that the image is here already. `log` are the lines that the original wrote while choosing.
    """

    image_id: str
    parent: str | None
    reason: str
    is_present: bool
    log: tuple[str, ...] = ()


def probe(image_id: str) -> Iterator[str]:
    """The ID itself, the sha256 of its text, the sha256 of that one's text, and so on without end."""
    while True:
        yield image_id
        image_id = hashlib.sha256(image_id.encode()).hexdigest()


def choose_ids(chain: Iterable[Candidate]) -> Generator[Look, Judgement, list[Choice]]:
    """Choose an ID for every candidate, base first; ends with the choices in that order.

    An image found under its strong ID keeps it, even above images that are not there. Else its legacy ID is kept
    while every image below was kept or found too. A strong ID that holds something else is probed past.
    """
    choices: list[Choice] = []
    may_reuse = True
    for candidate in chain:
        parent = choices[-1].image_id if choices else None
        found = yield Look(candidate.strong_id, candidate, parent)
        if found.verdict is Verdict.CLASHES:
            may_reuse = False
            choice = yield from _probed(candidate, parent, found)
        elif found.verdict is Verdict.MATCHES:
            choice = Choice(candidate.strong_id, parent, "strong ID, here already", True, (found.reason,))
        elif may_reuse:
            choice = yield from _reused(candidate, parent)
            may_reuse = choice.is_present
        else:
            choice = Choice(candidate.strong_id, parent, "strong ID", False)
        choices.append(choice)
    return choices


def _reused(candidate: Candidate, parent: str | None) -> Generator[Look, Judgement, Choice]:
    found = yield Look(candidate.legacy_id, candidate, parent)
    if found.verdict is Verdict.MATCHES:
        return Choice(candidate.legacy_id, parent, "legacy ID, proved", True, (found.reason,))
    log = (f"stopping ID reuse: {found.reason}",)
    why = "" if found.verdict is Verdict.ABSENT else f"; legacy ID not kept: {found.reason}"
    return Choice(candidate.strong_id, parent, f"strong ID{why}", False, log)


def _probed(candidate: Candidate, parent: str | None, clash: Judgement) -> Generator[Look, Judgement, Choice]:
    log = [f"not using existing strongID: {clash.reason}"]
    for image_id in probe(candidate.strong_id):
        if image_id == candidate.strong_id:
            continue  # the one that clashed; sha256 of a text is not that text
        found = yield Look(image_id, candidate, parent)
        if found.verdict is Verdict.CLASHES:
            log.append(f"not using existing strongID permutation {image_id}: {found.reason}")
            continue
        is_present = found.verdict is Verdict.MATCHES
        log += [found.reason] if is_present else []
        return Choice(image_id, parent, f"probed; strong ID is taken: {_in_other_words(clash)}", is_present, tuple(log))
    raise AssertionError("probe has no end")


def _in_other_words(clash: Judgement) -> str:
    """What the original's sentence means to whoever is asked to put up with a second copy."""
    if clash.reason == "digest: digest is not set for layer":
        return "that image was loaded or imported, so nobody knows which blob it was"
    return clash.reason
