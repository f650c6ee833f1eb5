"""THREATS A2: no validator of a name lets anything hang on to what it accepts."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import InputError
from puller.model.digest import Digest, TarsumDigest
from puller.model.mediatype import is_media_type
from puller.model.platform import Platform
from puller.model.reference import Reference, is_registry, is_tag
from tests.model.strategies import digests, media_types, platforms, references, registries, tags


def _accepts(parse: Callable[[str], object]) -> Callable[[str], bool]:
    def validator(text: str) -> bool:
        try:
            parse(text)
        except InputError:
            return False
        return True

    return validator


tarsums = digests.map(lambda digest: f"tarsum.v1+{digest}")
VALIDATORS: dict[str, tuple[Callable[[str], bool], st.SearchStrategy[str]]] = {
    "digest": (_accepts(Digest.parse), digests.map(str)),
    "tarsum": (_accepts(TarsumDigest.parse), tarsums),
    "reference": (_accepts(Reference.parse), references().map(str)),
    "familiar reference": (_accepts(Reference.parse), references().map(Reference.familiar)),
    "registry": (is_registry, registries),
    "tag": (is_tag, tags),
    "media type": (is_media_type, media_types),
    "media type with parameters": (is_media_type, media_types.map(lambda text: f"{text}; charset=utf-8")),
    "platform": (_accepts(Platform.parse), platforms.map(str)),
}


@pytest.mark.parametrize(("validator", "accepted"), VALIDATORS.values(), ids=VALIDATORS.keys())
@given(data=st.data(), hanger_on=st.sampled_from(["\n", "\r\n", " ", "\0", "\t", "\u2028", "\x85", "\ufeff"]))
def test_a2_nothing_may_hang_on_to_what_is_accepted(
    validator: Callable[[str], bool], accepted: st.SearchStrategy[str], data: st.DataObject, hanger_on: str
) -> None:
    text = data.draw(accepted)
    assert validator(text)
    assert not validator(text + hanger_on)
    assert not validator(hanger_on + text)
