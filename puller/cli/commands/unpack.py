"""`puller unpack`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from puller.cli import completing
from puller.cli.options import (
    Access,
    Verb,
    Where,
    graph_option,
    platform_option,
    registry_options,
    report_option,
    store_option,
    style_options,
)

if TYPE_CHECKING:
    from puller.cli.screen import Style


@click.command("unpack", cls=Verb, short_help="Unpack an image into a directory of its own.")
@click.argument("reference", metavar="REF|ID", shell_complete=completing.images)
@click.argument("target", metavar="DIR", type=click.Path(path_type=Path))
@platform_option
@store_option
@graph_option
@click.option("--uid-map", multiple=True, metavar="IN:OUT:COUNT", help="Give away users' files by this range.")
@click.option("--gid-map", multiple=True, metavar="IN:OUT:COUNT", help="The same for groups.")
@click.option("--keep-setuid/--drop-setuid", default=None, help="Else kept where owners are.")
@click.option("--devices", is_flag=True, help="Make device nodes, where that is allowed.")
@report_option("Write what was unpacked and altered (JSON).")
@style_options(quiet="Print only the result.", exclusive=False)
@registry_options
def command(
    reference: str,
    target: Path,
    platform: str | None,
    store: Path | None,
    graph: Path | None,
    uid_map: tuple[str, ...],
    gid_map: tuple[str, ...],
    keep_setuid: bool | None,
    devices: bool,
    report: Path | None,
    style: "Style",
    access: Access,
) -> int:
    """Unpack an image into DIR, which must not exist or be empty, and becomes its root filesystem.

    The image is taken from the store or its image graph, and pulled first where it is in neither. DIR appears when it
    is complete; what this user may not set (owners, devices) is kept in DIR.altered.jsonl beside it.
    """
    from puller.cli.unpacking import Order, unpack_one
    from puller.rootfs.idmap import IdMap
    from puller.rootfs.manner import Manner

    manner = Manner(IdMap.parse(uid_map), IdMap.parse(gid_map), keep_setuid, devices)
    order = Order(reference, target, Where(store, platform, None, access, graph), manner)
    return unpack_one(order, report_file=report, style=style)
