"""`puller export`."""

import click

from puller.cli import completing
from puller.cli.options import Verb, Where, where_options


@click.command("export", cls=Verb, short_help="Write an image's whole tree as one tar archive.")
@click.argument("reference", metavar="REF|ID", shell_complete=completing.images)
@click.option("--output", "-o", metavar="FILE|-", required=True, help="Where to; - is stdout.")
@where_options
def command(reference: str, output: str, where: Where) -> int:
    """Write an image's whole tree as one tar archive: the same bytes each time, whoever asks and wherever.

    Owners, devices and times are the image's own, also for users who could not set them. The image is unpacked in the
    store first, and pulled where it is not there; one of an image graph is read where it is.
    """
    from puller.cli.exporting import export_one

    return export_one(reference, output, where)
