"""The command line: which verb, and what its end means to a shell."""

import gc
import os
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, NoReturn

import click

from puller.cli.slip import meant
from puller.version import VERSION

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# Verb → what it does, in the order of `--help`. A module of `commands` is imported only when its verb is used.
VERBS = {
    "pull": "Pull images into the store, every byte verified, and unpack them there (the default verb).",
    "unpack": "Unpack an image into a directory of its own.",
    "export": "Write an image's whole tree as one tar archive.",
    "changes": "List what differs between two images or directories.",
    "mount": "Show an image's tree at a directory.",
    "umount": "Take away what mount has shown.",
    "images": "List what the store holds.",
    "load": "Load images from an archive of docker save, podman or skopeo.",
    "import": "Make an image of the archive of a root file system.",
    "save": "Write images as one archive that docker load reads.",
    "convert": "Make an image of today from one of schema 1.",
    "push": "Bring an image of the store to a registry.",
    "copy": "Copy images between registries, directories, archives and the store.",
    "history": "Show how an image came to be.",
    "inspect": "Show an image of the store.",
    "tag": "Give an image of the store another name.",
    "rm": "Take names away, and free what nothing else needs.",
    "graph": "Look at the image graph.",
    "gc": "Free what no name and no running pull needs.",
    "verify": "Hash the store again and say what is no longer right.",
    "digest": "Ask the registry which digest a name has now.",
    "tags": "List the tags of a repository.",
    "sync": "Keep places in step with registries.",
    "plan": "Tell what a sync would do, and why.",
    "apply": "Do what stands in a plan, and nothing else.",
    "undo": "Bring back what a sync has taken away.",
    "status": "Say how mirrors stand: their last runs, what failed, when they are due.",
    "lock": "Write down which digests names have now.",
    "ping": "Say what a registry offers, and what is wrong with how it is set up.",
    "login": "Log in to a registry, and keep the login as docker does.",
    "logout": "Forget the login to a registry.",
    "tarsum": "Print the tarsum of tar archives.",
    "id-chain": "Show the images and IDs that a schema 1 manifest makes.",
    "completion": "Print the script that lets a shell complete words.",
}


MANY_FILES = 1 << 16
# So many objects are made before cycles among them are looked for. Loading a verb makes up to 100,000, of which most
# stay: to look at them again and again takes 50 ms.
SELDOM = 150_000


class _Verbs(click.Group):
    """Loads a verb when it is called, and reads a first word that is none as the argument of `pull`."""

    def collect_usage_pieces(self, context: click.Context) -> list[str]:
        return ["REF… | VERB …"]

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = import_module(f"puller.cli.commands.{name.replace('-', '_')}").command
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        own = {name for option in self.params for name in option.opts} | set(context.help_option_names)
        if args and args[0] not in VERBS and args[0] not in own:
            self._refuse_late_verb(args)
            if not context.resilient_parsing and (verb := meant(args[0], VERBS)):
                click.echo(
                    f"{args[0]} is no verb, and taken for an image to pull: was `puller {verb}` meant?", err=True
                )
            args = ["pull", *args]
        return super().parse_args(context, args)

    def shell_complete(self, context: click.Context, incomplete: str) -> "list[CompletionItem]":
        from click.shell_completion import CompletionItem

        from puller.cli.completing import first_words

        verbs = [CompletionItem(verb, help=text) for verb, text in VERBS.items() if verb.startswith(incomplete)]
        pull = self.get_command(context, "pull")
        assert pull is not None
        return [
            *verbs,
            *click.Command.shell_complete(self, context, incomplete),
            *first_words(context, pull, incomplete),
        ]

    def invoke(self, context: click.Context) -> object:
        try:
            return super().invoke(context)
        except KeyboardInterrupt as interrupt:  # click would show an empty line
            from puller.cli.interrupt import sentence

            click.echo(sentence(interrupt), err=True)
            raise click.Abort from interrupt

    @staticmethod
    def _refuse_late_verb(args: list[str]) -> None:
        # `puller --store DIR rm alpine` would otherwise pull two images, one of them called rm.
        late = next((word for word in args if word in VERBS), None) if args[0].startswith("-") else None
        if late is not None:
            raise click.UsageError(f"the verb comes first, as in: puller {late} …")


@click.group(cls=_Verbs, context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100})
@click.version_option(VERSION, "--version", message="puller %(version)s")
def command() -> None:
    """Pull, verify and keep container images.

    `puller REF…` means `puller pull REF…`.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 2 wrong words, 3 wrong bytes, 130 interrupted, 1 all else."""
    gc.set_threshold(SELDOM)
    _allow_many_files()
    code = run(sys.argv[1:] if arguments is None else list(arguments))
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = code or 1
    except OSError as error:
        code = code or _failed(error)
    # All is closed and flushed; dismantling what was imported takes the interpreter longer than many a pull (80 ms).
    os._exit(code)


def run(arguments: Sequence[str]) -> int:
    """Run the command line; its exit code."""
    if instruction := os.environ.get("_PULLER_COMPLETE"):
        from puller.cli.shells import answer

        return answer(command, instruction)
    try:
        result = command.main(list(arguments), prog_name="puller", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except click.exceptions.Abort:
        return 130
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        return _failed(error)


def _allow_many_files() -> None:
    """Open as many files as this user may: a chain of hundreds of layers holds some of each at once."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MANY_FILES if hard == resource.RLIM_INFINITY else min(MANY_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _failed(error: Exception) -> int:
    from puller.cli.failure import exit_code, gravest, show

    known = [*_known(error)]
    if not known:
        raise error
    for one in known:
        if not isinstance(one, BrokenPipeError):  # whoever read has gone, and knows it
            show(one)
    return gravest(map(exit_code, known))


def _known(error: BaseException) -> Iterator[Exception]:
    from puller.errors import PullerError, StoreBusy

    if isinstance(error, PullerError | OSError):  # rooms translate theirs: this one is of stdout or stderr
        yield error
    elif isinstance(error, RuntimeError) and "new thread" in str(error):  # CPython has no class of its own for it
        yield StoreBusy(
            "no thread can be started", hint="Raise the limit of processes (ulimit -u), or do less at once."
        )
    elif isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _known(inner)
