"""Shells: how bash, zsh and fish ask what a word may become, and how they are told. Click knows zsh and fish."""

import os
from typing import ClassVar

import click
from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    split_arg_string,
)

PROGRAM = "puller"
VARIABLE = "_PULLER_COMPLETE"  # what click calls it, and its users know

# Click's own gives bash's words to the program; bash takes `alpine:3.20` for three of them ($COMP_WORDBREAKS). So the
# line is given as it is, up to the cursor, and of what comes back bash wants the part behind its last break.
_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            plain) COMPREPLY+=("$value") ;;
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1" 2>/dev/null)
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""
_BREAKS = ":=@"  # those that references, IDs and options may hold


class Bash(BashComplete):
    """Bash from 4.4 on."""

    source_template: ClassVar[str] = _BASH

    def get_completion_args(self) -> tuple[list[str], str]:
        """See ShellComplete."""
        # The mark shows whether the cursor stands behind a blank, whatever quotes are open.
        words = split_arg_string(os.environ["COMP_LINE"] + "x")
        return words[1:-1], words[-1][:-1]

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """See ShellComplete; without what bash holds for words of their own."""
        behind = _broken_off(os.environ["COMP_LINE"], incomplete, os.environ.get("COMP_WORDBREAKS", ""))
        items = super().get_completions(args, incomplete)
        for item in items:
            # Behind `--option=` click completes the value alone.
            cut = next((one for one in (behind, behind.partition("=")[2]) if one and item.value.startswith(one)), "")
            item.value = item.value[len(cut) :]
        return items


def _broken_off(line: str, word: str, breaks: str) -> str:
    """The beginning of `word`, which ends `line`, that is no part of bash's word; a word in quotes is not broken."""
    before = line[: len(line) - len(word)]
    if not line.endswith(word) or (before and not before[-1].isspace()):
        return ""
    last = max((word.rfind(mark) for mark in _BREAKS if mark in breaks), default=-1)
    # An at sign begins the word behind it (readline, `rl_special_prefixes`); the others end what is broken off.
    return word[: last if word[last : last + 1] == "@" else last + 1]


class Zsh(ZshComplete):
    """Zsh, which puts what it gets in the place of the whole word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """See ShellComplete."""
        return _behind_option(super().get_completions(args, incomplete), incomplete)


class Fish(FishComplete):
    """Fish, which does so, too."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """See ShellComplete."""
        return _behind_option(super().get_completions(args, incomplete), incomplete)


def _behind_option(items: list[CompletionItem], incomplete: str) -> list[CompletionItem]:
    """Values with the `--option=` before them, where `incomplete` has it: click gives them without."""
    option, is_one, _ = incomplete.partition("=")
    if is_one and option.startswith("-"):
        for item in items:
            item.value = f"{option}={item.value}" if item.type == "plain" else item.value
    return items


_SHELLS: dict[str, type[ShellComplete]] = {"bash": Bash, "zsh": Zsh, "fish": Fish}
SHELLS = tuple(_SHELLS)


def script(command: click.Command, shell: str) -> str:
    """The script that teaches a shell to complete."""
    return _SHELLS[shell](command, {}, PROGRAM, VARIABLE).source()


def answer(command: click.Command, instruction: str) -> int:
    """Print what a shell asks for by `instruction`, as `bash_complete`; an exit code.

    Nothing is said of errors: it would stand in the middle of the line that somebody is typing.
    """
    shell, _, wish = instruction.partition("_")
    if shell not in _SHELLS or wish not in ("complete", "source"):
        return 1
    try:
        completer = _SHELLS[shell](command, {}, PROGRAM, VARIABLE)
        text = completer.complete() if wish == "complete" else completer.source()
        if text:
            click.echo(text.rstrip("\n"))
    except Exception:
        return 1
    return 0
