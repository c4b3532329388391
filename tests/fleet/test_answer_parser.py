"""Answers as they come in, whole or byte by byte, from servers good and bad."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mosvpp._transport import MAX_ANSWER
from mosvpp.fleet._answer_parser import AnswerParser, BadAnswer

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nA: b\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n2\r\nlo\r\n0\r\nT: t\r\n\r\n"
EMPTY = b"HTTP/1.1 204 No Content\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + PLAIN
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
CLOSING = b"HTTP/1.1 500 \r\nconnection: Close\r\ncontent-length: 5\r\n\r\nhello"
WHOLE = [PLAIN, CHUNKED, EMPTY, INTERIM, CLOSING]


@given(st.sampled_from(WHOLE), st.lists(st.integers(1, 80), max_size=20))
def test_where_an_answer_is_cut_into_pieces_does_not_matter(answer: bytes, cuts: list[int]) -> None:
    places = sorted({min(cut, len(answer)) for cut in cuts} | {0, len(answer)})
    parser = AnswerParser()
    told = [parser.feed(answer[begin:end]) for begin, end in pairwise(places)]
    assert told[-1]
    assert not any(told[:-1])
    assert parser.is_complete
    assert parser.is_clean == (answer is not CLOSING)
    assert parser.body == (b"" if answer is EMPTY else b"hello")
    assert parser.status == {EMPTY: 204, CLOSING: 500}.get(answer, 200)


def test_what_follows_an_answer_ends_the_connection() -> None:
    for answer in (PLAIN, CHUNKED, EMPTY):
        parser = AnswerParser()
        assert parser.feed(answer + b"H")
        assert parser.is_complete
        assert not parser.is_clean


@pytest.mark.parametrize("answer", [PLAIN, CHUNKED, EMPTY])
def test_what_comes_after_the_end_is_not_read_as_more_of_it(answer: bytes) -> None:
    parser = AnswerParser()
    assert parser.feed(answer)
    body = parser.body
    assert parser.feed(PLAIN)
    assert parser.is_complete
    assert not parser.is_clean
    assert (parser.body, parser.size) == (body, len(body))


def test_an_interim_status_that_nobody_knows_is_passed_over() -> None:
    parser = AnswerParser()
    assert parser.feed(b"HTTP/1.1 199 Whatever\r\n\r\n" + PLAIN)
    assert (parser.status, parser.body) == (200, b"hello")


def test_a_switch_to_another_protocol_is_an_answer_and_the_end() -> None:
    parser = AnswerParser()
    assert parser.feed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n")
    assert parser.is_complete
    assert not parser.is_clean
    assert (parser.status, parser.body) == (101, b"")


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    parser = AnswerParser()
    assert not parser.feed(b"HTTP/1.0 200 OK\r\n\r\nhel")
    assert not parser.feed(b"lo")
    assert parser.ends_with_connection()
    assert parser.body == b"hello"


def test_one_that_broke_off_does_not() -> None:
    for part in (PLAIN[:-1], CHUNKED[:-1], PLAIN[:20], b""):
        parser = AnswerParser()
        assert not parser.feed(part)
        assert not parser.ends_with_connection()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"<html>\r\n\r\n",
        b"SSH-2.0-server\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\rContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: \0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabXX",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 70_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 70_000,
    ],
)
def test_what_is_no_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(BadAnswer):
        AnswerParser().feed(answer)


def test_a_length_that_is_said_twice_alike_is_clear() -> None:
    parser = AnswerParser()
    assert parser.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx")


@pytest.mark.parametrize("chunked", [False, True])
def test_an_answer_that_does_not_end_is_read_up_to_the_cap(chunked: bool) -> None:
    parser = AnswerParser()
    head = (
        b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n" if chunked else b"Content-Length: 99999999\r\n\r\n"
    )
    parser.feed(b"HTTP/1.1 200 OK\r\n" + head)
    fed = 0
    while not parser.feed(b"x" * 65536):
        fed += 65536
        assert fed <= MAX_ANSWER
    assert not parser.is_complete
    assert len(parser.body) == MAX_ANSWER


@pytest.mark.parametrize("size", [1, 3, 65536])
@pytest.mark.parametrize(
    ("head", "again"),
    [
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (CHUNKED_HEAD, b"1\r\na\r\n"),
        (CHUNKED_HEAD, b"1;" + b"x" * 5000 + b"\r\na\r\n"),
        (CHUNKED_HEAD + b"0\r\n", b"A: b\r\n"),
        (CHUNKED_HEAD + b"0\r\n", b"x"),
    ],
)
def test_a_flood_around_the_body_ends_soon(head: bytes, again: bytes, size: int) -> None:
    """None of it may keep the event loop busy, which the answers of all other sites need too."""
    flood = head + again * (200_000 // len(again))
    parser = AnswerParser()

    def feed() -> None:
        for at in range(0, len(flood), size):
            assert not parser.feed(flood[at : at + size])

    with pytest.raises(BadAnswer, match="64 KiB"):
        feed()
    assert len(parser.body) < 65536


@given(st.binary(max_size=200), st.integers(0, 60))
def test_nothing_that_a_server_sends_raises_anything_else(noise: bytes, place: int) -> None:
    for answer in WHOLE:
        parser = AnswerParser()
        try:
            parser.feed(answer[:place] + noise)
            parser.feed(answer[place:])
        except BadAnswer:
            continue
