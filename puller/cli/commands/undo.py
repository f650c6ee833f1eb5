"""`puller undo`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import Access, Verb, registry_options, state_option


@click.command("undo", cls=Verb, short_help="Bring back what a sync has taken away.")
@click.argument("run", metavar="[RUN]", required=False)
@click.option("--overwritten", is_flag=True, help="Also have tags that it moved name what they named before.")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="CONFIG",
    shell_complete=completing.files,
    help="Runs of this configuration; registries are spoken to as it says. Else as that of the run says.",
)
@state_option("What runs remember; else all folders in $XDG_STATE_HOME/puller/mirrors.")
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@registry_options
def command(
    run: str | None, overwritten: bool, config: Path | None, state: Path | None, as_json: bool, access: Access
) -> int:
    """Bring back the tags that RUN has pruned; without RUN, list the runs of which something can be brought back.

    What a registry has freed meanwhile is brought again from where it came. A tag that names something else by now is
    not touched. No later sync prunes what is back, nor moves a tag again to what was undone. Undo reaches back 14 days.
    """
    from puller.cli.undoing import Words, list_undoable, undo_run

    words = Words(access, state, config, as_json=as_json)
    if run is None:
        if overwritten:
            raise click.UsageError("--overwritten wants a RUN")
        return list_undoable(words)
    return undo_run(run, words, overwritten=overwritten)
