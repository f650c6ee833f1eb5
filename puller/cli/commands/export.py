"""`puller export`."""

from pathlib import Path

import click

from puller.cli.options import Access, driver_option, platform_option, registry_options, store_option


@click.command("export", short_help="Write an image's whole tree as one tar archive.")
@click.argument("reference", metavar="REF")
@click.option("--output", "-o", metavar="FILE|-", required=True, help="Where to; - is stdout.")
@platform_option
@store_option
@driver_option
@registry_options
def command(
    reference: str, output: str, platform: str | None, store: Path | None, driver: str | None, access: Access
) -> int:
    """Write an image's whole tree as one tar archive: the same bytes each time, whoever asks and wherever.

    Owners, devices and times are the image's own, also for users who could not set them. The image is unpacked in the
    store first, and pulled where it is not there.
    """
    from puller.cli.exporting import export_one

    return export_one(reference, output, platform=platform, store=store, driver=driver, access=access)
