"""Answers of HTTP/1.1 as they come in, one to a connection at a time. Pure: bytes in, an answer out.

It is strict: what is not clearly the end of this answer, and of no other, ends the connection.
"""

from __future__ import annotations

import re

from mosvpp._transport import MAX_ANSWER

__all__ = ["AnswerParser", "BadAnswer"]

_MAX_AROUND = 64 * 1024  # bytes that are no body: heads, sizes of chunks, trailers
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-9][0-9]{2})(?: [^\r\n]*)?").fullmatch
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+").fullmatch
_DIGITS = re.compile(rb"[0-9]{1,15}").fullmatch
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,12})[ \t]*(?:;[^\r\n]*)?").fullmatch
_BEGINNING = b"HTTP/1."
_SWITCHING = 101
_EMPTY = {_SWITCHING, 204, 304}


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
        self._buffer = bytearray()
        self._searched = 0  # so much of the buffer was looked through for what ends a part
        self._around = 0
        self._body = bytearray()
        self._left: int | None = None  # bytes of the body, or None: until the connection ends
        self._in_chunks = False
        self._in_trailer = False
        self._keeps_alive = False

    @property
    def body(self) -> bytes:
        """What there is of the body, at most `MAX_ANSWER` bytes."""
        return bytes(self._body[:MAX_ANSWER])

    def feed(self, data: bytes) -> bool:
        """Take what came in. True when the answer is complete, or too long to be read on."""
        if self.is_complete:
            self.is_clean = False
            return True
        self._buffer += data
        while not self.is_begun:
            if not self._read_head():
                return False
        if self._in_chunks:
            return self._read_chunks()
        return self._read_plain()

    def ends_with_connection(self) -> bool:
        """Whether the answer is complete when the connection ends now."""
        return self.is_begun and not self._in_chunks and self._left is None

    def _up_to(self, mark: bytes) -> bytes | None:
        """What stands in front of the mark, and both are taken; None while it is not there.

        However little comes at a time, each byte is looked at about once.
        """
        end = self._buffer.find(mark, self._searched)
        around = self._around + (len(self._buffer) if end < 0 else end + len(mark))
        if around > _MAX_AROUND:
            raise BadAnswer(f"more than {_MAX_AROUND // 1024} KiB of it are no body")
        if end < 0:
            self._searched = max(0, len(self._buffer) - len(mark) + 1)
            return None
        found = bytes(self._buffer[:end])
        del self._buffer[: end + len(mark)]
        self._searched, self._around = 0, around
        return found

    def _read_head(self) -> bool:
        """Read a head. Those of interim answers are passed over; all of them share one bound."""
        if not self._buffer.startswith(_BEGINNING[: len(self._buffer)]):
            raise BadAnswer("it does not begin as HTTP/1.1 does")
        head = self._up_to(b"\r\n\r\n")
        if head is None:
            return False
        first, *lines = head.split(b"\r\n")
        found = _STATUS_LINE(first)
        if found is None:
            raise BadAnswer("it does not begin as HTTP/1.1 does")
        if head.count(b"\r") > len(lines) or head.count(b"\n") > len(lines) or b"\0" in head:
            raise BadAnswer("a line of its head has no clear end")
        self.status = int(found[2])
        if self.status < 200 and self.status != _SWITCHING:
            return bool(self._buffer)
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
        if self.status in _EMPTY:
            self._left = 0
            self._keeps_alive = self._keeps_alive and self.status != _SWITCHING
        elif codings:
            if codings != [b"chunked"] or lengths or not is_1_1:
                raise BadAnswer("it is framed in a way that is not clear")
            self._in_chunks, self._left = True, 0
        elif lengths:
            if len(set(lengths)) > 1 or not _DIGITS(lengths[0]):
                raise BadAnswer("its length is not clear")
            self._left = int(lengths[0])

    def _read_plain(self) -> bool:
        length = len(self._buffer) if self._left is None else min(self._left, len(self._buffer))
        if self._keep(length):
            return True
        if self._left is None:
            return False
        self._left -= length
        return not self._left and self._complete()

    def _keep(self, length: int) -> bool:
        """Keep so much of the buffer as body. True when that is too long."""
        if self.size <= MAX_ANSWER:
            self._body += self._buffer[:length]
        del self._buffer[:length]
        self.size += length
        return self.size > MAX_ANSWER

    def _read_chunks(self) -> bool:
        while True:
            if self._left:  # of this chunk, its line end included
                length = min(max(0, self._left - 2), len(self._buffer))
                self._left -= length
                if self._keep(length):
                    return True
                if not self._read_line_end():
                    return False
            line = self._up_to(b"\r\n")
            if line is None:
                return False
            if self._in_trailer:  # after the last chunk there may be headers, which are not looked at
                if not line:
                    return self._complete()
                continue
            found = _CHUNK(line)
            if found is None:
                raise BadAnswer("a chunk has no size")
            size = int(found[1], 16)
            self._in_trailer = not size
            self._left = size + 2 if size else 0

    def _read_line_end(self) -> bool:
        """Read what ends a chunk. False while it is not there."""
        left = min(2, self._left or 0)
        ending = bytes(self._buffer[:left])
        if not b"\r\n"[2 - left :].startswith(ending):
            raise BadAnswer("a chunk is longer than it says")
        del self._buffer[: len(ending)]
        self._left = (self._left or 0) - len(ending)
        return not self._left

    def _complete(self) -> bool:
        self.is_complete = True
        self.is_clean = self._keeps_alive and not self._buffer
        return True


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, colon, value = line.partition(b":")
    if not colon or not _NAME(name):
        raise BadAnswer("a header is none")
    return name.lower(), value.strip(b" \t")
