"""`puller verify`."""

from pathlib import Path

import click

from puller.cli import completing
from puller.cli.options import graph_option, store_option


@click.command("verify", short_help="Hash the store again and say what is no longer right.")
@click.argument("images", metavar="[REF|ID…]", nargs=-1, shell_complete=completing.images)
@click.option("--all", "everything", is_flag=True, help="The whole store and its image graph, also what no name needs.")
@store_option
@graph_option
def command(images: tuple[str, ...], everything: bool, store: Path | None, graph: Path | None) -> int:
    """Hash the store again and say what is no longer right; exit code 3 where anything is.

    Damaged blobs are set aside, so that the next pull fetches them again. Layers of an image graph are put together
    again from their files, and compared with their checksums where that can be.
    """
    from puller.cli import interrupt
    from puller.cli.graphing import finding_line
    from puller.cli.lines import counted, size_text
    from puller.cli.rooms import open_graph, open_store
    from puller.cli.tally import Tally
    from puller.model.text import printable
    from puller.ops.graphcheck import Checked
    from puller.ops.verify import verify
    from puller.store.audit import Audited

    if everything and images:
        raise click.UsageError("--all is everything: leave out the names of images")
    if not everything and not images:
        raise click.UsageError("say which images to verify, by REF or ID, or --all")

    async def check() -> tuple[Audited | None, Checked | None]:
        place = await open_store(store)
        return await verify(None if everything else images, place, open_graph(place, graph), told=tally.add)

    with Tally("verified", "part") as tally:
        audited, checked = interrupt.run(check)
    bad = 0
    for finding in () if audited is None else audited.findings:
        needed = f"  needed by {', '.join(finding.names)}" if finding.names else ""
        click.echo(printable(f"{finding.kind} {finding.digest}  {finding.detail}{needed}", limit=2000))
    for line in () if checked is None else map(finding_line, checked.findings):
        click.echo(line)
    results = []
    if audited is not None:
        results.append((counted(audited.blobs, "blob"), audited.size, len(audited.findings)))
    if checked is not None:
        results.append((counted(checked.images, "image"), checked.size, len(checked.findings)))
    for what, size, wrong in results:
        bad += wrong
        click.echo(f"verified {what}, {size_text(size)}: {f'{wrong} of them not right' if wrong else 'all right'}")
    return 3 if bad else 0
