"""One attempt of a request, over any httpx transport: with a deadline, a cap, and no foreign exception."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing, closing
from functools import cache
from importlib.metadata import PackageNotFoundError, version

import anyio
import httpcore
import httpx

from ._answers import Answer
from ._failures import readable
from ._requests import Attempt, Failure
from ._sockets import Progress
from .auth import HEADER
from .clock import Clock
from .errors import RuleError
from .timeouts import Timeout

__all__ = ["MAX_ANSWER", "judged", "no_answer", "request_headers", "send", "send_async"]

MAX_ANSWER = 1024 * 1024
"""Bytes of an answer that are read; more is cut off, and the answer counts for nothing."""

# Of a transport that is not ours only the error is known: these are raised while nothing has been written.
_NOTHING_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.UnsupportedProtocol,
    httpcore.ConnectError,
    httpcore.ConnectTimeout,
    httpcore.PoolTimeout,
    httpcore.UnsupportedProtocol,
)


def send(
    transport: httpx.BaseTransport, url: httpx.URL, attempt: Attempt, timeout: Timeout, clock: Clock
) -> Answer | Failure:
    """Make one attempt."""
    course = _Course(attempt, timeout, clock)
    with course.progress:
        try:
            response = transport.handle_request(_prepared(url, attempt, timeout))
            with closing(response):
                course.begin(response)
                for chunk in response.stream:  # type: ignore[union-attr]  # a sync transport gives a sync stream
                    if not course.take(chunk):
                        break
                else:
                    course.end()
        except Exception as error:  # noqa: BLE001  whatever a transport raises; what it means is what matters
            course.fail(error)
    return course.result()


async def send_async(
    transport: httpx.AsyncBaseTransport,
    url: httpx.URL,
    attempt: Attempt,
    timeout: Timeout,  # noqa: ASYNC109  it is kept here
    clock: Clock,
) -> Answer | Failure:
    """Make one attempt. Being cancelled is the one thing that escapes."""
    course = _Course(attempt, timeout, clock)
    with course.progress:
        try:
            # A transport of the caller's own may know nothing of the deadline; one of ours meets it a moment
            # earlier.
            with anyio.fail_after(timeout.total + 0.05):
                response = await transport.handle_async_request(_prepared(url, attempt, timeout))
                async with aclosing(response):
                    course.begin(response)
                    chunks = aiter(response.stream)  # type: ignore[arg-type]  # an async one gives an async one
                    async for chunk in chunks:
                        if not course.take(chunk):
                            if isinstance(chunks, AsyncGenerator):
                                await chunks.aclose()
                            break
                    else:
                        course.end()
        except RuleError:  # it belongs to another event loop
            raise
        except Exception as error:  # noqa: BLE001  as above
            course.fail(error)
    return course.result()


def request_headers(host: bytes, attempt: Attempt) -> list[tuple[str, str]]:
    """What is sent beside the body, whoever sends it; `host` is that of the URL, with its port."""
    headers = [
        ("Host", host.decode("ascii")),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", _user_agent()),
        (HEADER, attempt.key.reveal()),
    ]
    if attempt.request.is_post:
        body = attempt.request.body
        headers += [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return headers


def _prepared(url: httpx.URL, attempt: Attempt, timeout: Timeout) -> httpx.Request:
    request = attempt.request
    limits = {
        "connect": timeout.connect,
        "read": timeout.read,
        "write": timeout.write,
        "pool": min(timeout.pool, timeout.total),
    }
    return httpx.Request(
        request.method,
        url,
        headers=request_headers(url.netloc, attempt),
        content=request.body or None,
        extensions={"timeout": limits},
    )


@cache
def _user_agent() -> str:
    try:
        return f"mosvpp-python/{version('mosvpp')}"
    except PackageNotFoundError:  # used out of its folder, without being installed
        return "mosvpp-python"


class _Course:
    """What has become of an attempt so far."""

    def __init__(self, attempt: Attempt, timeout: Timeout, clock: Clock) -> None:
        self.progress = Progress(seconds=timeout.total, key=attempt.key, is_wanted=attempt.is_wanted)
        self._key = attempt.key
        self._clock = clock
        self._response: httpx.Response | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._is_complete = False
        self._failure = ""
        self._sent = True

    def begin(self, response: httpx.Response) -> None:
        """Note that the headers of an answer are there, and refuse one that came before the request went out.

        A server that answers once too often leaves bytes behind, which would pass for the answer to the next
        request on that connection.
        """
        if self.progress.is_watched and not self.progress.is_read:
            self.progress.stop()
            raise httpcore.RemoteProtocolError("an answer was there before the request was sent")
        self._response = response

    def take(self, chunk: bytes) -> bool:
        """Keep a piece of the body. False when the loop over the pieces has to be left."""
        self._chunks.append(chunk[: max(0, MAX_ANSWER - self._size)])
        self._size += len(chunk)
        if self._size > MAX_ANSWER:
            self.progress.stop()
        if self.progress.is_watched or not self.progress.is_late:
            return True
        self._failure = "the deadline of the attempt has passed"
        return False

    def end(self) -> None:
        """Note that the answer is complete; what happens while the connection is closed does not matter."""
        self._is_complete = True

    def fail(self, error: Exception) -> None:
        """Note what a transport raised. The error itself is not kept: it holds the request, so the key."""
        text = readable(self._key.hide(str(error)), 200)
        self._failure = f"{type(error).__name__}: {text}" if text else type(error).__name__
        if self.progress.is_watched:
            self._sent = self.progress.is_written
        else:
            self._sent = not isinstance(error, _NOTHING_SENT)

    def result(self) -> Answer | Failure:
        """What the attempt came to."""
        if self._response is None:
            return no_answer(sent=self._sent, why=self._failure)
        answer = Answer.build(
            self._response.status_code,
            self._response.headers.raw,
            b"".join(self._chunks),
            now=self._clock.now(),
            key=self._key,
        )
        return judged(answer, self._size, broken_off=None if self._is_complete else self._failure)


def no_answer(*, sent: bool, why: str) -> Failure:
    """What an attempt came to of which nothing came back."""
    what = "no answer came" if sent else "the request could not be sent"
    return Failure(sent=sent, reason=f"{what} ({why})")


def judged(answer: Answer, size: int, *, broken_off: str | None) -> Answer | Failure:
    """The answer, or a failure where it was too long, or broke off; `size` is that of what was received."""
    if size > MAX_ANSWER:
        limit = f"{MAX_ANSWER // 1024} KiB"
        reason = f"HTTP {answer.status} with an answer of more than {limit}, which was cut off"
        return Failure(sent=True, reason=reason, answer=answer, transient=False)
    if broken_off is None:
        return answer
    reason = f"HTTP {answer.status}, but the answer broke off after {size} bytes ({broken_off})"
    return Failure(sent=True, reason=reason, answer=answer)
