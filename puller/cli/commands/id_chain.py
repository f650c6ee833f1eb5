"""`puller id-chain`."""

from pathlib import Path
from typing import BinaryIO

import click

from puller.cli.options import graph_option


@click.command("id-chain", short_help="Show the images and IDs that a schema 1 manifest makes.")
@click.argument("manifest", metavar="MANIFEST.json|-", type=click.File("rb"))
@click.option("--digest", metavar="sha256:…", help="Refuse a manifest whose signed part has another digest.")
@click.option("--require-signature", is_flag=True, help="Refuse a manifest that nobody signed.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Choose IDs as a pull into this store would; else nothing is asked.",
)
@graph_option
def command(
    manifest: BinaryIO,
    digest: str | None,
    require_signature: bool,
    as_json: bool,
    store: Path | None,
    graph: Path | None,
) -> None:
    """Verify a schema 1 manifest, and show for every image it makes, top first, its IDs: the strong one, which follows
    from content alone; the legacy one, which the manifest claims; and the one that is chosen, and why.

    Nothing is fetched, made or changed, here or in the store.
    """
    import json

    from puller.cli.chaining import document_of, lines_of
    from puller.errors import InvalidConfig, InvalidDigest, PullerError
    from puller.legacy.schema1 import parse_signed_manifest
    from puller.model.digest import Digest
    from puller.model.document import MAX_BYTES
    from puller.model.text import printable
    from puller.ops.idchain import links_of

    try:
        expected = None if digest is None else Digest.parse(digest)
    except InvalidDigest as error:
        raise InvalidConfig(f"--digest: {error.what}", got=digest) from error
    root = graph or store
    try:
        found = parse_signed_manifest(
            manifest.read(MAX_BYTES + 1), expected=expected, require_signature=require_signature
        )
        links = links_of(found, root)
    except PullerError as error:
        error.where = error.where or printable(manifest.name)
        raise
    if as_json:
        click.echo(json.dumps(document_of(found, links, root), indent=2))
    else:
        click.echo("\n".join(lines_of(found, links, root)))
