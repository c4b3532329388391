"""Answers of HTTP/1.1 as they come in, one to a connection at a time. Pure: bytes in, an answer out.

It is strict: what is not clearly the end of this answer, and of no other, ends the connection.
"""

from __future__ import annotations

import re

from mosvpp._transport import MAX_ANSWER

__all__ = ["AnswerParser", "BadAnswer"]

_MAX_HEAD = 64 * 1024
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?").fullmatch
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_DIGITS = re.compile(rb"[0-9]{1,15}").fullmatch
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n]*)?").fullmatch
_INTERIM = {100, 102, 103}


class BadAnswer(Exception):  # noqa: N818  it never leaves this package
    """The bytes are no answer of HTTP/1.1."""


class AnswerParser:
    """Reads one answer. `feed` says whether it is complete.

    `is_begun` once the head is there: then `status`, `headers` and what there is of `body` count.
    `is_complete`: the answer ended where it said. `is_clean`: also nothing followed, and the connection may
    be used again.
    """

    def __init__(self) -> None:
        self.is_begun = False
        self.is_complete = False
        self.is_clean = False
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.size = 0
        self._buffer = b""
        self._pieces: list[bytes] = []
        self._left: int | None = None  # bytes of the body, or None: until the connection ends
        self._in_chunks = False
        self._keeps_alive = False

    @property
    def body(self) -> bytes:
        """What there is of the body, at most `MAX_ANSWER` bytes."""
        return b"".join(self._pieces)[:MAX_ANSWER]

    def feed(self, data: bytes) -> bool:
        """Take what came in. True when the answer is complete, or too long to be read on."""
        self._buffer = self._buffer + data if self._buffer else data
        while not self.is_begun:
            if not self._read_head():
                return False
        if self._in_chunks:
            return self._read_chunks()
        return self._read_plain()

    def ends_with_connection(self) -> bool:
        """Whether the answer is complete when the connection ends now."""
        return self.is_begun and not self._in_chunks and self._left is None

    def _read_head(self) -> bool:
        head, mark, rest = self._buffer.partition(b"\r\n\r\n")
        if not mark:
            if len(self._buffer) > _MAX_HEAD:
                raise BadAnswer("its head has no end")
            return False
        if len(head) > _MAX_HEAD:
            raise BadAnswer("its head is too long")
        self._buffer = rest
        first, *lines = head.split(b"\r\n")
        found = _STATUS_LINE(first)
        if found is None:
            raise BadAnswer("it does not begin as HTTP/1.1 does")
        self.status = int(found[2])
        if self.status in _INTERIM:
            return bool(rest)
        self.headers = [_header(line) for line in lines]
        self._frame(found[1] == b"1")
        self.is_begun = True
        return True

    def _frame(self, is_1_1: bool) -> None:
        """How long the body is, and whether the connection goes on after it."""
        values: dict[bytes, list[bytes]] = {}
        for name, value in self.headers:
            if name in (b"content-length", b"transfer-encoding", b"connection"):
                values.setdefault(name, []).append(value.lower())
        options = b",".join(values.get(b"connection", [])).split(b",")
        self._keeps_alive = is_1_1 and b"close" not in [option.strip() for option in options]
        lengths, codings = values.get(b"content-length", []), values.get(b"transfer-encoding", [])
        if self.status in (204, 304):
            self._left = 0
        elif codings:
            if codings != [b"chunked"] or lengths or not is_1_1:
                raise BadAnswer("it is framed in a way that is not clear")
            self._in_chunks, self._left = True, 0
        elif lengths:
            if len(set(lengths)) > 1 or not _DIGITS(lengths[0]):
                raise BadAnswer("its length is not clear")
            self._left = int(lengths[0])

    def _read_plain(self) -> bool:
        data, self._buffer = self._buffer, b""
        if self._left is None:
            return self._keep(data)
        mine, rest = data[: self._left], data[self._left :]
        self._left -= len(mine)
        if self._keep(mine):
            return True
        if self._left:
            return False
        return self._complete(rest)

    def _keep(self, data: bytes) -> bool:
        """Keep a piece of the body. True when it is too long."""
        if self.size <= MAX_ANSWER:
            self._pieces.append(data)
        self.size += len(data)
        return self.size > MAX_ANSWER

    def _read_chunks(self) -> bool:
        while True:
            if self._left:  # of this chunk, its line end included
                data, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
                payload = data[: max(0, self._left - 2)]
                ending = data[len(payload) :]
                if not (b"\r\n"[2 - min(2, self._left) :]).startswith(ending):
                    raise BadAnswer("a chunk is longer than it says")
                self._left -= len(data)
                if self._keep(payload):
                    return True
                if self._left:
                    return False
            line, mark, rest = self._buffer.partition(b"\r\n")
            if not mark:
                if len(self._buffer) > _MAX_HEAD:
                    raise BadAnswer("a chunk has no size")
                return False
            found = _CHUNK(line)
            if found is None:
                raise BadAnswer("a chunk has no size")
            size = int(found[1], 16)
            if size == 0:
                return self._read_trailer(rest)
            self._buffer, self._left = rest, size + 2

    def _read_trailer(self, rest: bytes) -> bool:
        """After the last chunk there may be headers, which are not looked at."""
        if rest.startswith(b"\r\n"):
            return self._complete(rest[2:])
        trailer, mark, after = rest.partition(b"\r\n\r\n")
        if not mark:
            if len(trailer) > _MAX_HEAD:
                raise BadAnswer("its trailer has no end")
            return False  # the last chunk is still in the buffer, and is read again
        return self._complete(after)

    def _complete(self, rest: bytes) -> bool:
        self.is_complete = True
        self.is_clean = self._keeps_alive and not rest
        return True


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _NAME(name):
        raise BadAnswer("a header is none")
    return name.lower(), value.strip(b" \t")
