"""`puller pull`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from puller.cli import completing
from puller.cli.options import (
    Access,
    Verb,
    driver_option,
    graph_option,
    jobs_option,
    platforms_option,
    registry_options,
    report_option,
    store_option,
    style_options,
)

if TYPE_CHECKING:
    from puller.cli.screen import Style


@click.command("pull", cls=Verb, short_help="Pull images into the store, every byte verified, and unpack them there.")
@click.argument("references", metavar="REF…", nargs=-1, shell_complete=completing.references)
@platforms_option("Else linux/<host>.")
@click.option("--all-platforms", is_flag=True, help="Every platform of an index.")
@click.option("--all-tags", is_flag=True, help="Every tag of each repository.")
@store_option
@click.option("--no-unpack", is_flag=True, help="Keep the blobs only. --all-platforms never unpacks.")
@driver_option
@graph_option
@click.option(
    "--verify-disk", is_flag=True, help="Hash what is reused of the image graph, put together from its files."
)
@click.option("--discard-blobs", is_flag=True, help="Give up layer blobs once they are unpacked.")
@click.option("--no-tarsum", is_flag=True, help="Leave out the tarsum.")
@click.option("--digest-only", is_flag=True, help="Check blob digests only; diff IDs are left to unpacking.")
@click.option(
    "--require-strong-digests",
    is_flag=True,
    help="Refuse layers that are named by tarsum only, as some manifests of schema 1 do (exit 3).",
)
@click.option("--require-signature", is_flag=True, help="Refuse unsigned manifests of schema 1 (exit 3).")
@click.option(
    "--from-store",
    "places",
    type=click.Path(exists=True, path_type=Path),
    multiple=True,
    metavar="PLACE",
    help="Take blobs from this store, OCI layout or archive of images where it has them; may be repeated.",
)
@click.option(
    "--foreign-layers",
    is_flag=True,
    help="Fetch foreign layers that a registry has not got from where their manifest says, without any secrets.",
)
@click.option(
    "--locked", is_flag=True, help="Only what the lock file has, by the digests there; without REF all of it."
)
@click.option(
    "--lock",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("puller.lock"),
    show_default=True,
    metavar="FILE",
    help="The lock file of --locked.",
)
@jobs_option
@report_option("Write the verification report (JSON).")
@style_options(quiet="Print only what was pulled.", exclusive=False)
@registry_options
def command(
    references: tuple[str, ...],
    platforms: tuple[str, ...],
    all_platforms: bool,
    all_tags: bool,
    store: Path | None,
    no_unpack: bool,
    driver: str | None,
    graph: Path | None,
    verify_disk: bool,
    discard_blobs: bool,
    no_tarsum: bool,
    digest_only: bool,
    require_strong_digests: bool,
    require_signature: bool,
    places: tuple[Path, ...],
    foreign_layers: bool,
    locked: bool,
    lock: Path,
    jobs: int,
    report: Path | None,
    style: "Style",
    access: Access,
) -> int:
    """Pull images into the store, every byte verified, and unpack them there; names move last.

    A reference is what docker takes: alpine, alpine:3.20, ghcr.io/team/app:1, 127.0.0.1:5000/app@sha256:….
    An image of schema 1 goes to the image graph, under the IDs that Docker 1.9 would have given it.
    """
    from puller.cli.pulling import Order, pull_all

    if all_platforms and platforms:
        raise click.UsageError("--platform and --all-platforms exclude each other")
    if not (references or locked):
        raise click.UsageError("Missing argument 'REF…'.")
    if locked and all_tags:
        raise click.UsageError("--locked and --all-tags exclude each other")
    unpack = not (no_unpack or all_platforms)
    if discard_blobs and not unpack:
        raise click.UsageError("--discard-blobs is for images that are unpacked")
    order = Order(
        references,
        platforms=None if all_platforms else platforms,
        all_tags=all_tags,
        tarsum=not no_tarsum,
        digest_only=digest_only,
        strong=require_strong_digests,
        signed=require_signature,
        places=places,
        foreign_layers=foreign_layers,
        lock=lock if locked else None,
        graph=graph,
        verify_disk=verify_disk,
        jobs=jobs,
        access=access,
        unpack=unpack,
        driver=driver,
        discard=discard_blobs,
    )
    return pull_all(order, store=store, report_file=report, style=style)
