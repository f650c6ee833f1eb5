"""LayerReader: everything one pass over a compressed layer shows, without unpacking it."""

from typing import Final

from puller.errors import LayerError
from puller.model.facts import Facts
from puller.stream.sink import Chunk, Digester, Pulse, Tee, unwatched

MAX_UNPACKED: Final = 64 << 30


class LayerReader:
    """A Sink over the bytes of one layer blob as stored: diff ID, unpacked size and, if wanted, tarsum.v1.

    `algorithm` is that of the diff ID; `promised` is what the media type says of the compression
    (`mediatype.compression_of`). The diff ID covers all that was compressed, also what lies behind the end of the
    archive (THREATS D4). A layer that the 2015 reader refuses is no error, the facts say why there is no tarsum.
    `pulse` is called at least once per MiB of work; what it raises ends the pass. Raises InvalidCompression,
    LimitExceeded, Unsupported.
    """

    def __init__(
        self,
        *,
        promised: str | None = None,
        tarsum: bool = True,
        algorithm: str = "sha256",
        limit: int = MAX_UNPACKED,
        pulse: Pulse = unwatched,
    ) -> None:
        from puller.stream.inflate import Inflate  # only now: most syncs look into no layer

        self._digester = Digester(algorithm)
        self._tarsum = TarsumAttempt(pulse) if tarsum else None
        sinks = (self._digester,) if self._tarsum is None else (self._digester, self._tarsum)
        self._inflate = Inflate(Tee(*sinks), promised=promised, limit=limit, pulse=pulse)

    def write(self, chunk: Chunk, /) -> None:
        self._inflate.write(chunk)

    def finish(self) -> None:
        self._inflate.finish()

    @property
    def facts(self) -> Facts:
        """What was shown; to be asked for after `finish`."""
        attempt = self._tarsum
        return Facts(
            diff_id=self._digester.digest,
            unpacked_size=self._digester.size,
            tarsum=attempt.sum if attempt else None,
            tarsum_refusal=attempt.refusal if attempt else None,
        )


class TarsumAttempt:
    """A Sink over an uncompressed archive that never fails: its tarsum under `label`, or why there is none.

    `pulse` is called as Tarsum does, in `finish` too, where the sums are sorted. Raises InputError for a label that is
    none.
    """

    def __init__(self, pulse: Pulse = unwatched, *, label: str = "tarsum.v1+sha256") -> None:
        from puller.stream.tarsum import Tarsum, TarsumSink  # only now: many ask for none

        self._tarsum = Tarsum.for_label(label, pulse=pulse)
        self._sink = TarsumSink(self._tarsum)
        self.sum: str | None = None
        self.refusal: str | None = None

    def write(self, chunk: Chunk, /) -> None:
        if self.refusal is None:
            try:
                self._sink.write(chunk)
            except LayerError as error:
                self._refuse(error)

    def finish(self) -> None:
        if self.refusal is None:
            try:
                self._sink.finish()
            except LayerError as error:
                self._refuse(error)
            else:
                self.sum = self._tarsum.sum()

    def _refuse(self, error: LayerError) -> None:
        self.refusal = error.what if self._tarsum.count else f"not a tar archive: {error.what}"
