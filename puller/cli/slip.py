"""Slip: a word that is a verb but for one slip of the finger. It is read as an image, and that has to be told."""

from collections.abc import Iterable


def meant(word: str, verbs: Iterable[str]) -> str | None:
    """The verb that one letter more or less, another one, or two in their order make of `word`."""
    return next((verb for verb in verbs if len(verb) > 2 and _is_slip(word, verb)), None)


def _is_slip(word: str, verb: str) -> bool:
    same = next(
        (place for place, (a, b) in enumerate(zip(word, verb, strict=False)) if a != b), min(len(word), len(verb))
    )
    typed, wanted = word[same:], verb[same:]
    swapped = typed[1:2] + typed[:1] + typed[2:]
    return typed != wanted and (typed[1:] in (wanted, wanted[1:]) or typed == wanted[1:] or swapped == wanted)
