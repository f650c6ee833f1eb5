"""`puller tarsum`."""

import sys
from typing import BinaryIO

import click


@click.command("tarsum", short_help="Print the tarsum of a tar archive.")
@click.argument("file", metavar="FILE|-", type=click.File("rb"))
@click.option("--label", default="tarsum.v1+sha256", show_default=True, help="Version and hash.")
@click.option("--decompress", is_flag=True, help="The archive may be gzip or zstd.")
def command(file: BinaryIO, label: str, decompress: bool) -> int:
    """Print the tarsum of a tar archive, as Docker 1.8 computed it.

    Where the original fails, so does this: exit code 1, and no sum on stdout.
    """
    from puller.cli.failure import show
    from puller.errors import InputError, PullerError
    from puller.model.text import printable
    from puller.ops.tarsum import tarsum_of

    try:
        chunks = iter(lambda: file.read(1 << 20), b"")
        click.echo(tarsum_of(chunks, label, decompress=decompress))
    except PullerError as error:
        if isinstance(error, InputError):
            error.hint = error.hint or "Labels are, for example, tarsum+sha256, tarsum.v1+sha256 and tarsum.dev+sha512."
        elif not decompress:
            error.hint = error.hint or "If the archive is compressed, give --decompress."
        error.where = error.where or printable(file.name)
        show(error)
        return 1
    sys.stdout.flush()
    return 0
