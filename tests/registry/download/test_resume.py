import pytest
from multidict import CIMultiDict

from puller.errors import SizeMismatch
from puller.registry.download.resume import Useful, Useless, judge, judge_piece


class Told:
    """A resume.Head without a connection."""

    def __init__(self, status: int, *headers: tuple[str, str]) -> None:
        self.status = status
        self._headers = CIMultiDict(headers)

    def header(self, name: str) -> list[str]:
        return self._headers.getall(name, [])


def test_a_whole_answer_to_a_whole_question_is_taken() -> None:
    assert judge(Told(200, ("Content-Length", "100")), start=0, position=0, size=100) == Useful(0, 100)


def test_the_range_that_was_asked_for_is_taken() -> None:
    head = Told(206, ("Content-Range", "bytes 40-99/100"), ("Content-Length", "60"))
    assert judge(head, start=40, position=40, size=100) == Useful(0, 100)


def test_a_range_may_end_early() -> None:
    assert judge(Told(206, ("Content-Range", "bytes 40-59/100")), start=40, position=40, size=100) == Useful(0, 100)


def test_n15_a_whole_answer_to_a_range_is_skipped_into() -> None:
    assert judge(Told(200, ("Content-Length", "100")), start=40, position=40, size=100) == Useful(40, 100)


@pytest.mark.parametrize(
    "ranges",
    [
        ["bytes 41-99/100"], ["bytes 39-99/100"], ["bytes 0-99/100"], ["bytes 40-99/101"], ["bytes 40-99/*"],
        ["bytes */100"], ["bytes 40-100/100"], ["bytes 99-40/100"], ["items 40-99/100"], ["bytes 40-99"], ["40-99/100"],
        ["bytes=40-99/100"], ["bytes 40-99/100", "bytes 0-99/100"], ["bytes 40-99/100, bytes 40-99/100"], [""], [],
    ],
)  # fmt: skip
def test_n16_any_other_range_is_useless(ranges: list[str]) -> None:
    head = Told(206, *(("Content-Range", value) for value in ranges))
    assert isinstance(judge(head, start=40, position=40, size=100), Useless)


def test_n18_a_length_that_contradicts_the_range_is_useless() -> None:
    head = Told(206, ("Content-Range", "bytes 40-99/100"), ("Content-Length", "61"))
    assert isinstance(judge(head, start=40, position=40, size=100), Useless)


def test_n17_a_refused_range_is_useless() -> None:
    assert isinstance(judge(Told(416), start=40, position=40, size=100), Useless)
    assert isinstance(judge(Told(416, ("Content-Range", "bytes */100")), start=40, position=40, size=100), Useless)


@pytest.mark.parametrize("head", [Told(200, ("Content-Length", "99")), Told(416, ("Content-Range", "bytes */99"))])
def test_c8_content_of_another_size_is_refused_for_good(head: Told) -> None:
    with pytest.raises(SizeMismatch):
        judge(head, start=40, position=40, size=100)


def test_without_a_promised_size_the_answer_tells_it() -> None:
    assert judge(Told(200, ("Content-Length", "77")), start=0, position=0, size=None) == Useful(0, 77)
    assert judge(Told(200), start=0, position=0, size=None) == Useful(0, None)


def test_the_piece_that_was_asked_for_is_taken() -> None:
    head = Told(206, ("Content-Range", "bytes 40-59/100"), ("Content-Length", "20"))
    assert judge_piece(head, start=40, stop=60, size=100) == Useful(0, 100)


@pytest.mark.parametrize(
    "head",
    [
        Told(206, ("Content-Range", "bytes 40-58/100")),
        Told(206, ("Content-Range", "bytes 40-60/100")),
        Told(206, ("Content-Range", "bytes 40-99/100")),
        Told(206, ("Content-Range", "bytes 41-59/100")),
        Told(206, ("Content-Range", "bytes 40-59/101")),
        Told(206, ("Content-Range", "bytes 40-59/100"), ("Content-Length", "21")),
        Told(200, ("Content-Length", "100")),
        Told(200),
        Told(416),
    ],
)
def test_n16_any_other_piece_is_useless_also_a_shorter_one_and_the_whole(head: Told) -> None:
    assert isinstance(judge_piece(head, start=40, stop=60, size=100), Useless)


@pytest.mark.parametrize("head", [Told(200, ("Content-Length", "99")), Told(416, ("Content-Range", "bytes */99"))])
def test_c8_a_piece_of_content_of_another_size_is_refused_for_good(head: Told) -> None:
    with pytest.raises(SizeMismatch):
        judge_piece(head, start=40, stop=60, size=100)
