"""Vector: one attack on an unpacker, told in layers, and how it must end. Standard library only: see gauntlet."""

from dataclasses import dataclass

from puller.errors import PullerError
from tests.rootfs.layering import Words, layer

CLIMB = "../" * 12


@dataclass(frozen=True)
class Vector:
    """`outcome` is the error of the last layer, or the tree that all of them make."""

    name: str
    layers: tuple[bytes, ...]
    outcome: type[PullerError] | Words
    control: tuple[bytes, ...] = ()
    makes: Words | None = None


def attack(name: str, *entries: bytes, gives: type[PullerError] | Words) -> Vector:
    return Vector(name, (layer(*entries),), gives)


def refused(name: str, bad: list[bytes], error: type[PullerError], good: list[bytes], makes: Words) -> Vector:
    """An attack that is refused, and its control."""
    return Vector(name, (layer(*bad),), error, (layer(*good),), makes)
