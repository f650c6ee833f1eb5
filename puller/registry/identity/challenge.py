"""Challenge: what a WWW-Authenticate header asks for, by the grammar of RFC 9110 §11.6.1.

    line      = [ challenge ] *( OWS "," OWS [ challenge ] )
    challenge = scheme [ 1*SP ( token68 / parameters ) ]

Parameters are separated by commas as well, so a comma may end a parameter or a challenge: what follows decides. A word
with `=` behind it is a parameter of the challenge before it, any other word begins the next one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from puller.errors import ProtocolViolation
from puller.registry.field import FieldReader

HEADER = "WWW-Authenticate"
MAX_CHALLENGES = 16
MAX_PARAMETERS = 32
# A token68 stands alone: without the look-ahead, `realm="x"` would begin with one.
_TOKEN68 = re.compile(r"[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|\Z))")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to authenticate: scheme and parameter names in lower case, values as they stand for.

    `token68` is the opaque word some schemes carry instead of parameters.
    """

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict, hash=False)
    token68: str | None = None


def parse_challenges(values: Sequence[str]) -> list[Challenge]:
    """Read every challenge of every header line, in order. Raises ProtocolViolation.

    Each line is a list of its own. A parameter given twice is refused whatever its values: two readers would disagree
    on which counts (THREATS B3, B14). At most 8 KiB a line, 16 challenges in all and 32 parameters each.
    """
    challenges: list[Challenge] = []
    for line in values:
        challenges += _read_line(FieldReader(HEADER, line))
        if len(challenges) > MAX_CHALLENGES or len(values) > MAX_CHALLENGES:
            raise ProtocolViolation("too many authentication challenges", wanted=f"at most {MAX_CHALLENGES}")
    return challenges


def _read_line(reader: FieldReader) -> list[Challenge]:
    challenges: list[Challenge] = []
    while not reader.done:
        reader.skip()
        if reader.accept(",") or reader.done:
            continue
        challenges.append(_read_challenge(reader))
    return challenges


def _read_challenge(reader: FieldReader) -> Challenge:
    """Read one challenge and the comma that ends it."""
    scheme = reader.token().lower()
    if not reader.skip():
        _end_element(reader)
        return Challenge(scheme)
    token68 = reader.take(_TOKEN68)
    if token68 is not None:
        _end_element(reader)
        return Challenge(scheme, token68=token68)
    return Challenge(scheme, _read_parameters(reader))


def _read_parameters(reader: FieldReader) -> dict[str, str]:
    parameters: dict[str, str] = {}
    separated = False
    while not reader.done:
        reader.skip()
        if reader.accept(","):
            separated = True
            continue
        name = reader.name()
        if name is None and not separated and not reader.done:
            raise reader.broken("a parameter")
        if name is None:
            break
        if name.lower() in parameters:
            raise ProtocolViolation("duplicate authentication parameter", where=HEADER, got=name[:80])
        if len(parameters) == MAX_PARAMETERS:
            raise ProtocolViolation("too many authentication parameters", wanted=f"at most {MAX_PARAMETERS}")
        parameters[name.lower()] = reader.value()
        _end_element(reader)
        separated = True
    return parameters


def _end_element(reader: FieldReader) -> None:
    reader.skip()
    if not reader.accept(",") and not reader.done:
        raise reader.broken("a comma or the end")
