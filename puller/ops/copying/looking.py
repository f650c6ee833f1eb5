"""Looking: layers of images that are read for what they are while they flow to where they are copied."""

from puller.model.config import parse_config
from puller.model.digest import Digest
from puller.model.manifest import Manifest
from puller.model.mediatype import compression_of
from puller.ops.copying.gathering import Gathered, Gathering
from puller.ops.pulling.plan import Image, Step, plan
from puller.ops.pulling.watch import LayerWatch, stop_when_cancelled
from puller.stream.layer import MAX_UNPACKED, LayerReader


class Looking:
    """What configs promise of layers, and watchers that hold them to it. What is there already is not read again."""

    def __init__(self, *, max_unpacked: int = MAX_UNPACKED, tarsum: bool = True) -> None:
        self._steps: dict[Digest, Step] = {}
        self._max_unpacked = max_unpacked
        self._tarsum = tarsum

    async def learn(self, gathered: Gathered, gathering: Gathering) -> None:
        """Read the configs of all images that are to be brought.

        Raises InvalidManifest where a manifest and its config count layers differently (THREATS C12), DiffIDMismatch
        where one blob would have to be two layers, and what reading raises.
        """
        images = []
        for document in gathered.documents:
            manifest = document.manifest
            if isinstance(manifest, Manifest) and manifest.is_image and manifest.config and not document.is_there:
                images.append(Image(manifest, parse_config(await gathering.config(manifest.config))))
        self._steps |= {step.descriptor.digest: step for step in plan(images) if step.is_layer}

    def watches(self, digest: Digest) -> list[LayerWatch]:
        """New ones for a blob; none for what is no layer."""
        step = self._steps.get(digest)
        if step is None:
            return []
        reader = LayerReader(
            promised=compression_of(step.descriptor.media_type),
            tarsum=self._tarsum,
            algorithm=step.diff_id.algorithm if step.diff_id else "sha256",
            limit=self._max_unpacked,
            pulse=stop_when_cancelled,
        )
        return [LayerWatch(reader, expected=step.diff_id)]
