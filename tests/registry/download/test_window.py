from contextlib import ExitStack
from dataclasses import replace

import pytest

from puller.errors import ProtocolViolation
from puller.registry.download.pool import Pool
from puller.registry.download.segment import VIEW, Segment
from puller.registry.download.width import RANGES
from puller.registry.download.window import Window

POLICY = replace(RANGES, piece=10, window=40, least=0, share=1)


def claimed(window: Window) -> list[tuple[int, int]]:
    """All that may be asked for now."""
    found = []
    while (piece := window.claim()) is not None:
        found.append((piece.start, piece.stop))
    return found


def take(window: Window) -> bytes:
    """The whole first piece, filled with what a test wants."""
    piece = window.first
    assert piece is not None
    piece.add(bytes(piece.size))
    view = piece.take()
    assert view is not None
    window.pass_first()
    return bytes(view)


@pytest.mark.parametrize(("position", "begin"), [(0, 20), (9, 20), (10, 30), (11, 30), (85, 95), (94, 95)])
def test_pieces_begin_one_piece_on_at_a_multiple_of_their_size(position: int, begin: int) -> None:
    assert Window(Pool(POLICY), 95).begin(position) == begin


def test_no_more_is_asked_for_than_the_window_holds() -> None:
    window = Window(Pool(POLICY), 1000)
    window.begin(0)
    assert claimed(window) == [(20, 30), (30, 40), (40, 50), (50, 60)]


def test_r6_no_more_is_under_way_than_a_kill_may_cost() -> None:
    policy = replace(POLICY, share=0.05)
    window = Window(Pool(policy), 600)
    window.begin(0)
    assert len(claimed(window)) == 3
    window.close()
    assert [policy.suits(size, size) for size in (399, 400)] == [False, True]
    assert not replace(policy, least=100).suits(1000, 99)


def test_what_was_taken_makes_room_once_its_last_chunk_is_given_back() -> None:
    window = Window(Pool(POLICY), 1000)
    window.begin(0)
    claimed(window)
    take(window)
    assert claimed(window) == []
    window.reclaim()
    assert claimed(window) == [(60, 70)]


def test_the_last_piece_ends_where_the_blob_ends() -> None:
    window = Window(Pool(POLICY), 45)
    window.begin(0)
    assert claimed(window) == [(20, 30), (30, 40), (40, 45)]


def test_buffers_are_used_again() -> None:
    window = Window(Pool(POLICY), 10_000)
    window.begin(0)
    seen = set()
    while (piece := window.claim()) is not None:
        seen.add(id(piece.buffer))
        take(window)
        window.reclaim()
    assert len(seen) == 1


def test_pieces_given_up_are_forgotten_with_all_behind_them() -> None:
    window = Window(Pool(POLICY), 1000)
    window.begin(0)
    first, second, third = (window.claim() for _ in range(3))
    assert first is not None
    assert second is not None
    assert window.drop_from(second) == [second, third]
    assert window.first is first
    assert window.frontier == second.start


def test_a_buffer_somebody_may_still_write_to_is_not_used_again() -> None:
    window = Window(Pool(POLICY), 1000)
    window.begin(0)
    pieces = [piece for _ in range(4) if (piece := window.claim()) is not None]
    dropped = window.drop_from(pieces[1])
    again = [piece for _ in range(4) if (piece := window.claim()) is not None]
    assert len(again) == 3
    assert not {id(piece.buffer) for piece in dropped} & {id(piece.buffer) for piece in again}


def test_a_window_that_is_closed_gives_all_back() -> None:
    pool = Pool(POLICY)
    for _ in range(2):
        window = Window(pool, 1000)
        window.begin(0)
        assert len(claimed(window)) == 4
        take(window)
        window.close()


def test_windows_at_the_same_time_have_equal_parts() -> None:
    pool = Pool(POLICY)
    windows = [Window(pool, 1000) for _ in range(2)]
    with pool.user():
        assert len(claimed(windows[0])) == 4
        with pool.user():
            assert claimed(windows[1]) == []
            for _ in range(4):
                take(windows[0])
                windows[0].reclaim()
            assert len(claimed(windows[1])) == 2
            assert len(claimed(windows[0])) == 2


def test_more_windows_than_buffers_have_one_each_while_there_are_any() -> None:
    pool = Pool(POLICY)
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(pool.user())
        counts = [len(claimed(Window(pool, 1000))) for _ in range(6)]
    assert counts == [1, 1, 1, 1, 0, 0]


def took(segment: Segment) -> bytes | None:
    view = segment.take()
    return None if view is None else bytes(view)


def test_what_comes_is_taken_in_order_and_once() -> None:
    segment = Segment(100, 110, bytearray(11))
    assert took(segment) is None
    segment.add(b"abcd")
    assert took(segment) == b"abcd"
    segment.add(b"ef")
    segment.add(b"gh")
    assert took(segment) == b"efgh"
    assert (segment.is_full, segment.is_taken) == (False, False)
    segment.add(b"ij")
    assert segment.is_full
    assert took(segment) == b"ij"
    assert segment.is_taken


def test_what_lies_in_the_room_already_is_not_copied() -> None:
    segment = Segment(0, 4, bytearray(5))
    room = segment.room()
    room[:3] = b"abc"
    segment.add(room[:3])
    assert took(segment) == b"abc"
    assert len(segment.room()) == 2


def test_more_than_the_piece_is_refused() -> None:
    segment = Segment(0, 4, bytearray(5))
    with pytest.raises(ProtocolViolation):
        segment.add(b"abcde")


def test_a_chunk_is_no_larger_than_one_hop_is_worth() -> None:
    segment = Segment(0, 3 * VIEW, bytearray(3 * VIEW + 1))
    segment.add(bytes(3 * VIEW))
    sizes = []
    while (view := segment.take()) is not None:
        sizes.append(len(view))
    assert sizes == [VIEW, VIEW, VIEW]
