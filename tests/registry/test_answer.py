"""The head of an answer: which ETags are worth sending back."""

from types import SimpleNamespace
from typing import cast

import aiohttp
import pytest
from multidict import CIMultiDict

from puller.registry.answer import Answer, Validator
from puller.registry.transport.origin import Origin

ORIGIN = Origin("https", "registry.test", 443)


def answer(*etags: str) -> Answer:
    headers = CIMultiDict([("ETag", etag) for etag in etags])
    return Answer(cast(aiohttp.ClientResponse, SimpleNamespace(headers=headers)), ORIGIN, True, False)


@pytest.mark.parametrize("etag", ['""', '"abc"', '"sha256:00"', '"!#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~"'])
def test_a_strong_etag_validates(etag: str) -> None:
    assert answer(etag).validator == Validator(ORIGIN, etag)


@pytest.mark.parametrize(
    "etag",
    [
        "",
        '"',
        'abc"',
        'W/"abc"',
        '"a b"',
        '"a"b"',
        '"abc" ',
        '"a", "b"',
        '"a\r\nX: y"',
        '"\udcff"',
        '"\x7f"',
        '"é"',
        '"a\n',
    ],
)
def test_n16_what_is_no_strong_etag_of_the_grammar_is_never_sent_back(etag: str) -> None:
    assert answer(etag).validator is None


def test_two_etags_validate_nothing() -> None:
    assert answer('"a"', '"b"').validator is None
