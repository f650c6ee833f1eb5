"""`puller verify`."""

from pathlib import Path

import click

from puller.cli.options import store_option


@click.command("verify", short_help="Hash the store again and say what is no longer right.")
@click.argument("references", metavar="[REF…]", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="The whole store, also what no name needs.")
@store_option
def command(references: tuple[str, ...], everything: bool, store: Path | None) -> int:
    """Hash the store again and say what is no longer right; exit code 3 where anything is.

    Damaged blobs are set aside, so that the next pull fetches them again.
    """
    from puller.cli import interrupt
    from puller.cli.lines import counted, size_text
    from puller.cli.rooms import open_store
    from puller.cli.tally import Tally
    from puller.model.reference import Reference
    from puller.model.text import printable
    from puller.store.audit import Audited, audit

    if everything == bool(references):
        raise click.UsageError("give references, or --all")
    names = None if everything else [Reference.parse(reference).tagged() for reference in references]

    async def check() -> Audited:
        return await audit(await open_store(store), names, told=tally.add)

    with Tally("verified") as tally:
        audited = interrupt.run(check)
    for finding in audited.findings:
        needed = f"  needed by {', '.join(finding.names)}" if finding.names else ""
        click.echo(printable(f"{finding.kind} {finding.digest}  {finding.detail}{needed}", limit=2000))
    bad = len(audited.findings)
    result = f"{bad} of them not right" if bad else "all right"
    click.echo(f"verified {counted(audited.blobs, 'blob')}, {size_text(audited.size)}: {result}")
    return 3 if bad else 0
