"""Shells: how bash, zsh and fish ask what a word may become, and how they are told."""

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
# Zsh and fish put what they get in the place of the whole word. Of a path in it they are told what stands before that,
# as `oci:` or `--store=`: click's own scripts look for a file whose name begins so.
_ZSH = """\
#compdef %(prog_name)s

%(complete_func)s() {
    local type value more place=$((CURRENT - 1))
    local -a answer words_alone words_told
    (( $+commands[%(prog_name)s] )) || return 1
    answer=("${(@f)$(COMP_WORDS="${words[*]}" COMP_CWORD=$place %(complete_var)s=zsh_complete %(prog_name)s)}")
    for type value more in "${answer[@]}"; do
        case $type in
            plain) if [[ $more == _ ]]; then words_alone+=("$value"); else words_told+=("$value:$more"); fi ;;
            dir) [[ $more == _ ]] || compset -p ${#more}; _path_files -/ ;;
            file) [[ $more == _ ]] || compset -p ${#more}; _path_files -f ;;
        esac
    done
    (( $#words_told )) && _describe -V unsorted words_told -U
    (( $#words_alone )) && compadd -U -V unsorted -a words_alone
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    %(complete_func)s "$@"
else
    compdef %(complete_func)s %(prog_name)s
fi
"""
_FISH = """\
function %(complete_func)s
    set -l asked %(complete_var)s=fish_complete COMP_WORDS=(commandline -cp) COMP_CWORD=(commandline -t)
    for line in (env $asked %(prog_name)s)
        set -l answer (string split -m 1 , -- $line)
        set -l path (string split -m 1 \\t -- $answer[2])
        switch $answer[1]
            case plain
                echo $answer[2]
            case dir
                printf '%%s\\n' "$path[2]"(__fish_complete_directories "$path[1]")
            case file
                printf '%%s\\n' "$path[2]"(__fish_complete_path "$path[1]")
        end
    end
end

complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
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
    """Zsh."""

    source_template: ClassVar[str] = _ZSH

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """See ShellComplete."""
        return _whole(super().get_completions(args, incomplete), incomplete)


class Fish(FishComplete):
    """Fish."""

    source_template: ClassVar[str] = _FISH

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem]:
        """See ShellComplete."""
        return _whole(super().get_completions(args, incomplete), incomplete)

    def format_completion(self, item: CompletionItem) -> str:
        """See ShellComplete."""
        return f"{item.type},{item.value}" + (f"\t{item.help}" if item.help else "")


def _whole(items: list[CompletionItem], incomplete: str) -> list[CompletionItem]:
    """Words with the `--option=` before them, which click gives without; with paths what stands before them."""
    option, is_one, _ = incomplete.partition("=")
    for item in items:
        if item.type == "plain" and is_one and option.startswith("-"):
            item.value = f"{option}={item.value}"
        elif item.type != "plain" and incomplete.endswith(item.value):
            item.help = incomplete[: len(incomplete) - len(item.value)]
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
