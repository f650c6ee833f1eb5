"""`puller lock`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import Access, Verb, registry_options, state_option


@click.command("lock", cls=Verb, short_help="Write down which digests names have now.")
@click.argument("words", metavar="CONFIG|REF…", nargs=-1, shell_complete=completing.references)
@click.option(
    "--output",
    "-o",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("puller.lock"),
    show_default=True,
    metavar="FILE",
    help="The lock file.",
)
@click.option("--check", is_flag=True, help="Change nothing, and say what has moved since it was written (exit 1).")
@state_option("Of a CONFIG that goes by age: what its syncs remember.")
@registry_options
def command(words: tuple[str, ...], file: Path, check: bool, state: Path | None, access: Access) -> int:
    """Write down which digests names have now, for `puller pull --locked` and `puller sync --locked`.

    A word that is the path of a file is a configuration of syncs: every tag that it selects is locked. Any other is a
    reference. Each tag costs one HEAD. The file is written if all of them are known, and not otherwise.
    """
    from puller.cli.locking import check_lock, lock_all

    if check:
        if words:
            raise click.UsageError("--check looks at what is locked; it takes -o FILE and no words")
        return check_lock(file, access)
    if not words:
        raise click.UsageError("what is to be locked? puller lock REF…, or the file of a sync")
    return lock_all(words, file, state, access)
