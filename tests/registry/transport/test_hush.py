"""Hush: what an answer repeats of the secrets of its request is taken out of it, and nothing else."""

import base64
import json

import pytest
from yarl import URL

from puller.registry.transport.hush import hushed

URL_ = URL("https://cdn.test/x?sig=0123456789abcdef%2F&n=1000", encoded=True)
BASIC = "Basic " + base64.b64encode('ann:pass/wörd"'.encode()).decode()


@pytest.mark.parametrize(
    ("said", "left"),
    [
        (f"Authorization: {BASIC}", "Authorization: …"),
        (f"token {BASIC[6:]} is bad", "token … is bad"),
        ('wrong: ann:pass/wörd"', "wrong: …"),
        ('password pass/wörd" of ann', "password … of ann"),
        ('pass\\/wörd"', "…"),
        (json.dumps({"message": 'pass/wörd"'}), '{"message": "…"}'),
        ("key 0xC0FFEE", "key …"),
        ("sig=0123456789abcdef/ n=1000", "sig=… n=1000"),
        ("puller/1 asked for bytes=4-", "puller/1 asked for bytes=4-"),
    ],
)
def test_b15_secrets_are_taken_out_in_every_form(said: str, left: str) -> None:
    headers = {"Authorization": BASIC, "X-Key": "0xC0FFEE", "User-Agent": "puller/1", "Range": "bytes=4-"}
    assert hushed(said.encode(), headers, URL_).decode() == left


def test_what_holds_no_secret_stays_byte_for_byte() -> None:
    raw = bytes(range(256))
    assert hushed(raw, {"Authorization": "Bearer zyxwvu"}, URL_) == raw


def test_a_secret_of_few_letters_is_left_since_words_hold_it() -> None:
    assert hushed(b"a cat", {"Authorization": "a"}, URL_) == b"a cat"
