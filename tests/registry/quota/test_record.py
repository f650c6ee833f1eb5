"""The form that what is known of a host has on disk."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.registry.quota.allowance import Allowance, Hold, Kind
from puller.registry.quota.distrust import Distrust
from puller.registry.quota.headers import Quota
from puller.registry.quota.pause import Pace, Pause
from puller.registry.quota.record import MAX_ACCOUNTS, Record, account_key

NOW = 1_700_000_000.0
PLACE = Hold("1:2:ab:pid:[3]", 7, NOW + 60, scout=True)
FULL = Record(
    Pause(NOW, NOW + 5, 2, True, PLACE),
    Pace(NOW + 1, 0.5),
    Distrust(NOW, NOW + 9, 3),
    {
        account_key(""): Allowance(3, NOW, NOW, 100, 21600.0, NOW + 8, 1.0, True, Kind.OTHER, (PLACE,)),
        account_key("ann"): Allowance.learnt(Quota(1), sent=NOW, now=NOW),
    },
)


def test_a_record_comes_back_as_it_was() -> None:
    assert Record.parse(FULL.dump()) == FULL
    assert Record.parse(Record().dump()) == Record()


def test_accounts_are_not_called_by_their_names() -> None:
    record = Record().with_account(account_key("ann's secret robot"), Allowance.learnt(None, sent=NOW, now=NOW))
    assert b"ann" not in record.dump()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff",
        b"[]",
        b"{}",
        b'{"form": 2}',
        b'{"form": 1, "pause": 5}',
        b'{"form": 1, "pause": {"since": "x"}}',
        b'{"form": 1, "accounts": []}',
        b'{"form": 1, "pace": {"following": 1e300, "interval": 1}}',
        b'{"form": 1, "pace": {"following": true, "interval": 1}}',
        b'{"form": 1, "distrust": {"since": 1, "until": 2, "failures": -1}}',
        b"[" * 100_000,
        b" " * (1 << 20),
    ],
)
def test_what_is_no_record_says_nothing(raw: bytes) -> None:
    assert Record.parse(raw) == Record()


@given(st.data())
def test_a_record_that_somebody_has_changed_is_read_or_left_and_never_raises(data: st.DataObject) -> None:
    document = json.loads(FULL.dump())
    part = document
    for _ in range(data.draw(st.integers(1, 3))):
        key = data.draw(st.sampled_from(sorted(part)))
        if not isinstance(part[key], dict):
            break
        part, last = part[key], part
        del last
    if part:
        part[data.draw(st.sampled_from(sorted(part)))] = data.draw(
            st.none() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just([{}]) | st.just({})
        )
    record = Record.parse(json.dumps(document).encode())
    record.at(NOW).dump()


def test_accounts_are_bounded_and_the_latest_are_kept() -> None:
    record = Record()
    for number in range(MAX_ACCOUNTS + 5):
        record = record.with_account(str(number), Allowance.learnt(None, sent=NOW, now=NOW + number))
    assert len(record.accounts) == MAX_ACCOUNTS
    assert "0" not in record.accounts
    assert Record.parse(record.dump()) == record


def test_what_is_over_is_forgotten() -> None:
    assert FULL.at(NOW + 1).accounts.keys() == FULL.accounts.keys()
    later = FULL.at(NOW + 40 * 86400)
    assert (later.pause, later.pace, later.distrust) == (None, None, None)
