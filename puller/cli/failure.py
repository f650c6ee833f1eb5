"""Failure: what an error means to a shell and how it is told to a person."""

from collections.abc import Iterable

import click

from puller.cli.placenames import placename
from puller.errors import ContentCorrupt, InvalidConfig, InvalidReference, LayerError, PullerError, VerificationError
from puller.model.text import printable
from puller.ops.pulling.hints import hint_for


def exit_code(error: Exception) -> int:
    """3 for wrong bytes, 2 for wrong words, 1 for all else."""
    if isinstance(error, VerificationError | LayerError | ContentCorrupt):
        return 3
    if isinstance(error, InvalidConfig | InvalidReference):
        return 2
    return 1


def gravest(codes: Iterable[int]) -> int:
    """The exit code that says most: wrong bytes before wrong words before all else; 0 for none."""
    return max(codes, key=(0, 1, 2, 3).index, default=0)


def show(error: Exception) -> None:
    """Tell one error on stderr: what, then every known fact on a line of its own, then what to do."""
    click.echo(text_of(error), err=True)


def text_of(error: Exception) -> str:
    """The lines of one error; nothing in them can act on a terminal (THREATS C22)."""
    if not isinstance(error, PullerError):
        return f"puller: {printable(str(error) or type(error).__name__)}"
    facts = error.facts()
    kind, what = facts.pop("error"), facts.pop("what")
    facts.pop("notes", None)
    hint = facts.pop("hint", "") or hint_for(error)
    lines = [f"puller: {what}  [{kind}]"]
    for name in ("where", "reference"):
        if name in facts:
            facts[name] = placename(str(facts[name]))
    lines += [f"  {name:<9}  {printable(str(value))}" for name, value in facts.items()]
    lines += [f"  {printable(note)}" for note in getattr(error, "__notes__", ())]
    if hint:
        lines.append(f"  {hint}")
    return "\n".join([printable(lines[0]), *lines[1:]])
