"""What goes between the crew and its child: it fits, it comes back as it was, and lies are noticed."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import DiffIDMismatch, InvalidArchive, LayerError, LimitExceeded, NoSpace, PullerError, StoreBusy
from puller.model.alteration import Altered
from puller.model.digest import Digest
from puller.rootfs.applied import Applied
from puller.rootfs.gathering import NeedsLower
from puller.rootfs.idmap import IdMap
from puller.rootfs.job import Outcome
from puller.rootfs.limits import Limits
from puller.rootfs.manner import Manner
from puller.rootfs.message import LONGEST, Answer, Order, ended, failure, progress, success

LONGEST_PATH = b"/".join([b"\xff" * 255] * 256)  # as deep as limits allow
DIGEST = Digest.of(b"layer")


def outcome(applied: Applied) -> Outcome:
    return Outcome(applied, DIGEST, 12, (Altered("owner", "why", 7, ("a", "b")),), ("write jail: none",))


def answer(packets: Iterable[bytes]) -> Answer:
    found = Answer()
    for packet in packets:
        assert len(packet) <= LONGEST
        found.hear(packet)
    return found


parts = st.binary(min_size=1, max_size=99).filter(lambda part: not {0, ord("/")} & {*part} and part.strip(b"."))
true_paths = st.lists(parts, max_size=4).map(b"/".join)
paths = st.lists(true_paths, max_size=40).map(tuple)


@given(paths, paths, paths)
def test_an_outcome_comes_back_as_it_was(
    first: tuple[bytes, ...], hidden: tuple[bytes, ...], opaque: tuple[bytes, ...]
) -> None:
    made = outcome(Applied(3, 4, without_entry=first, hidden=hidden, opaque=opaque))
    assert answer(success(made)).outcome == made


def test_an_outcome_of_very_long_paths_goes_in_packets_that_fit() -> None:
    made = outcome(Applied(3, 4, without_entry=(LONGEST_PATH,) * 20, opaque=(b"", b"x")))
    packets = list(success(made))
    assert len(packets) > 10
    assert answer(packets).outcome == made


def test_r10_an_outcome_of_too_many_paths_is_not_kept() -> None:
    made = outcome(Applied(3, 4, without_entry=(LONGEST_PATH,) * 1200))
    with pytest.raises(LimitExceeded, match="too many"):
        answer(success(made))


ORDERS = (
    Order(None, None, 0, None, True, True, Manner()),
    Order("gzip", DIGEST, 512, 0, False, False, Manner(stepwise=True, keep_setuid=False, devices=True, seconds=0.25)),
    Order(
        "zstd",
        Digest.of(b"", "sha512"),
        1,
        1 << 40,
        True,
        False,
        Manner(uids=IdMap(((0, 5, 9), (9, 90, 1))), limits=Limits(7)),
    ),
)


@pytest.mark.parametrize("order", ORDERS)
def test_an_order_comes_back_as_it_was(order: Order) -> None:
    assert Order.decode(order.encode()) == order


ERRORS: tuple[PullerError, ...] = (
    LayerError("what"),
    InvalidArchive("what", where="where", wanted=1, got="\x1b[31m", hint="Do so."),
    NeedsLower("a hard link to what is not there", got="x"),
    NoSpace("full", got="ENOSPC", digest=str(DIGEST), attempts=3),
    StoreBusy("busy", phase="unpack"),
    DiffIDMismatch("not the same", wanted=DIGEST, got=Digest.of(b"")),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_comes_back_with_its_class_and_all_it_says(error: PullerError) -> None:
    back = answer([failure(error)]).error
    assert (type(back), back and back.facts()) == (type(error), error.facts())


def test_an_error_of_a_class_that_is_not_known_is_one_of_the_layer() -> None:
    back = answer([b'{"failure":{"error":"SystemExit","what":"gone"}}\n']).error
    assert (type(back), back and back.what) == (LayerError, "gone")


def test_progress_and_end_are_heard() -> None:
    found = answer([progress(5), progress(9), ended(-9)])
    assert (found.read, found.ended, found.outcome, found.error) == (9, -9, None, None)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        b"no json\n",
        b"[]\n",
        b'{"success":{}}\n',
        b'{"success":[]}\n',
        b'{"success":{"entries":1,"size":1,"diff_id":"sha256:0","unpacked_size":1,"altered":[],"missing":[]}}\n',
        b'{"success":{"entries":1,"size":1,"diff_id":"%s","unpacked_size":1,"altered":[{}],"missing":[]}}\n'
        % str(DIGEST).encode(),
        b'{"failure":{}}\n',
        b'{"failure":"x"}\n',
        b'{"failure":{"error":"LayerError"}}\n',
        b'{"failure":{"error":"LayerError","what":"x","phase":{}}, "read":"x"}\n',
        b'{"paths":"entries"}\nx',
        b'{"paths":[]}\nx',
        b'{"failure":{"error":"LayerError","what":null}}\n',
        b'{"read":"x"}\n',
        b'{"read":{}}\n',
        b'{"ended":null}\n',
        b'{"unheard of":1}\n',
        b'{"read":1' + b" " * 99,
        b"\xff\n",
    ],
)  # fmt: skip
def test_what_nobody_in_his_right_mind_says_is_an_error(packet: bytes) -> None:
    with pytest.raises(LayerError, match="lost its mind"):
        Answer().hear(packet)


@pytest.mark.parametrize("path", [b"..", b"../victim", b"a/../../victim", b"/etc", b"a//b", b"a/", b".", b"a/."])
@pytest.mark.parametrize("kind", ["hidden", "opaque", "without_entry", "assumed"])
def test_d8_a_child_that_was_taken_over_cannot_send_its_parent_out_of_the_tree(kind: str, path: bytes) -> None:
    with pytest.raises(LayerError, match="lost its mind"):
        Answer().hear(f'{{"paths":"{kind}"}}\n'.encode() + b"etc\0" + path)


def test_c22_what_a_child_says_of_alterations_cannot_act_on_a_terminal() -> None:
    altered = '[{"what":"\\u001b[2J","reason":"\\r","count":1,"examples":["\\u001b]52;c;eA=="]}]'
    said = f'{{"entries":1,"size":1,"diff_id":"{DIGEST}","unpacked_size":1,"altered":{altered},"missing":["\\u001b"]}}'
    answer = Answer()
    answer.hear(f'{{"success":{said}}}\n'.encode())
    assert answer.outcome is not None
    (one,) = answer.outcome.altered
    assert all(text.isprintable() for text in (one.what, one.reason, *one.examples, *answer.outcome.missing))
