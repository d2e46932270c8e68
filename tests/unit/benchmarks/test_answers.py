"""The load generator reads HTTP answers as they come, in any pieces, and nothing it does not know."""

import pytest

from benchmarks.serving.answers import AnswerReader, UnreadableAnswer, parse_head

ANSWER = b"HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 5\r\n\r\nhello"


def test_an_answer_in_one_piece() -> None:
    assert AnswerReader().feed(ANSWER) == (200, b"hello")


@pytest.mark.parametrize("cut", range(1, len(ANSWER)))
def test_an_answer_in_two_pieces(cut: int) -> None:
    reader = AnswerReader()
    assert reader.feed(ANSWER[:cut]) is None
    assert reader.feed(ANSWER[cut:]) == (200, b"hello")


def test_answers_one_after_the_other() -> None:
    reader = AnswerReader()
    refusal = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length:0\r\n\r\n"
    assert [reader.feed(each) for each in (ANSWER, refusal, ANSWER)] == [
        (200, b"hello"),
        (503, b""),
        (200, b"hello"),
    ]


def test_more_than_was_asked_for() -> None:
    with pytest.raises(UnreadableAnswer, match="1 bytes too many"):
        AnswerReader().feed(ANSWER + b"!")


@pytest.mark.parametrize(
    ("head", "match"),
    [
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", "no content length"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: many", "no content length"),
        (b"HTTP/1.1", "no HTTP status line"),
        (b"SSH-2.0-OpenSSH 200", "no HTTP status line"),
        (b"HTTP/1.1 fine OK\r\nContent-Length: 1", "no HTTP status line"),
    ],
)
def test_a_head_that_cannot_be_read(head: bytes, match: str) -> None:
    with pytest.raises(UnreadableAnswer, match=match):
        parse_head(head)


def test_heads_that_change_are_not_kept_for_ever() -> None:
    reader = AnswerReader()
    for second in range(1_500):
        answer = b"HTTP/1.1 200 OK\r\nDate: %d\r\nContent-Length: 1\r\n\r\nx" % second
        assert reader.feed(answer) == (200, b"x")
    assert len(reader._heads) <= 1_000
