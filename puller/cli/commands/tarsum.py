"""`puller tarsum`."""

import sys
from collections.abc import Sequence
from typing import BinaryIO

import click


@click.command("tarsum", short_help="Print the tarsum of tar archives.")
@click.argument("files", metavar="FILE|-…", type=click.File("rb"), nargs=-1, required=True)
@click.option("--label", default="tarsum.v1+sha256", show_default=True, help="Version and hash.")
@click.option("--decompress", is_flag=True, help="The archives may be gzip or zstd.")
def command(files: Sequence[BinaryIO], label: str, decompress: bool) -> int:
    """Print the tarsum of tar archives, as Docker 1.8 computed it: of one the sum alone, of several the name too.

    Where the original fails, so does this: exit code 1, and no sum on stdout.
    """
    from puller.cli.failure import show
    from puller.errors import PullerError
    from puller.model.text import printable

    code = 0
    for file in files:
        try:
            found = _sum(file, label, decompress)
        except PullerError as error:
            error.where = error.where or printable(file.name)
            show(error)
            code = 1
        else:
            click.echo(found if len(files) == 1 else f"{found}  {printable(file.name)}")
    sys.stdout.flush()
    return code


def _sum(file: BinaryIO, label: str, decompress: bool) -> str:
    from puller.errors import InputError, PullerError
    from puller.ops.ahead import read_ahead
    from puller.ops.tarsum import tarsum_of

    try:
        with read_ahead(file) as chunks:
            return tarsum_of(chunks, label, decompress=decompress)
    except InputError as error:
        error.hint = error.hint or "Labels are, for example, tarsum+sha256, tarsum.v1+sha256 and tarsum.dev+sha512."
        raise
    except PullerError as error:
        if not decompress:
            error.hint = error.hint or "If the archive is compressed, give --decompress."
        raise
