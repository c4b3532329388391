"""Publish deliveries to a stream: each once, those of a site in their order."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from ._forward_log import Log, Unsure
from ._forward_store import Row

__all__ = ["Forwarded", "Publisher", "subject_of"]

_log = logging.getLogger("mosvpp.receiver")

_REMEMBERED = 200_000
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_PLAIN = re.compile(r"[A-Za-z0-9-][A-Za-z0-9_-]*")


@dataclass
class Forwarded:
    """What a forwarder has done since it was started.

    `published` deliveries went into the stream, `found` were there already, `passed_over` were purged or
    older than asked for. `behind` is how many are left, at most.
    """

    published: int = 0
    found: int = 0
    passed_over: int = 0
    behind: int = 0


def subject_of(kind: str, molecule_id: str | None) -> str:
    """The subject of a delivery: `mosvpp.<kind>.<molecule_id>`.

    Letters, digits, `-` and `_` of the id stay; every other byte of it, and a `_` at its beginning, becomes
    `%` and two hexadecimal digits, so that each id has a subject of its own. Without an id it is `_`.
    """
    if molecule_id is None:
        return f"mosvpp.{kind}._"
    if _PLAIN.fullmatch(molecule_id):
        return f"mosvpp.{kind}.{molecule_id}"
    token = "".join(
        char if _PLAIN.fullmatch(char) or (char == "_" and index) else _escaped(char)
        for index, char in enumerate(molecule_id)
    )
    return f"mosvpp.{kind}.{token}"


def _escaped(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogatepass"))


class Publisher:
    """Publishes batches to a log, and counts in `done`.

    It remembers the newest message of each subject, which each publication has to name; of a subject that
    it does not know, it asks the log first. What is in doubt is forgotten, and so asked for.
    """

    def __init__(self, log: Log, done: Forwarded) -> None:
        self._stream = log
        self._done = done
        self._newest: dict[str, int] = {}

    async def publish(
        self, rows: Sequence[Row], *, since: int, go_on: Callable[[], Awaitable[bool]]
    ) -> int | None:
        """Publish what is not in the stream; the highest number there, or None where `go_on` said no.

        Nothing of `rows` is in the stream up to the number `since`. Between two tries `go_on` is asked.
        Sites go beside each other, deliveries of one site one after the other.
        """
        left: dict[str, list[Row]] = {}
        for row in rows:
            left.setdefault(subject_of(row.kind, row.molecule_id), []).append(row)
        highest: int | None = None
        try:
            highest = await self._publish_all(left, since, go_on)
        finally:
            if highest is None:
                self._newest = {}  # what this batch left in doubt is looked for the next time
        return highest

    async def _publish_all(
        self, left: dict[str, list[Row]], since: int, go_on: Callable[[], Awaitable[bool]]
    ) -> int | None:
        highest, pause = since, _FIRST_PAUSE_S
        while left:
            highest = max(highest, await self._try(left, since))
            left = {subject: rows for subject, rows in left.items() if rows}
            if left:
                if not await go_on():
                    return None
                await asyncio.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
        return highest

    async def _try(self, left: dict[str, list[Row]], since: int) -> int:
        """Take out of `left` what gets into the stream, or is there; the highest number."""
        try:
            await self._look_for(left, since)
        except Unsure as why:
            _log.warning("the stream does not answer: %s; trying again", why)
            return 0
        # Each to its end, also when one fails: none may publish when this is over.
        ended = await asyncio.gather(*[self._site(*one) for one in left.items()], return_exceptions=True)
        highest = 0
        for one in ended:
            if isinstance(one, BaseException):
                raise one
            highest = max(highest, one)
        doubtful = sum(map(bool, left.values()))
        if doubtful:
            _log.warning("the stream did not answer for %d sites; trying again", doubtful)
        return highest

    async def _look_for(self, left: dict[str, list[Row]], since: int) -> None:
        """Take out what is in the stream already, and learn which message of each subject is the newest."""
        unknown = [subject for subject in left if subject not in self._newest]
        if not unknown:
            return
        if len(self._newest) > _REMEMBERED:
            self._newest = {subject: self._newest[subject] for subject in left if subject in self._newest}
        tails = await self._stream.tails(unknown, since=since)
        for subject, tail in tails.items():
            self._newest[subject] = tail.seq
            waiting = [row for row in left[subject] if row.key not in tail.ids]
            self._done.found += len(left[subject]) - len(waiting)
            left[subject] = waiting

    async def _site(self, subject: str, rows: list[Row]) -> int:
        """Publish and take out of `rows`, until something is in doubt; the highest number in the stream."""
        highest = 0
        while rows:
            row = rows[0]
            headers = {"Nats-Msg-Id": row.key, "Mosvpp-Received-At": row.received_at.isoformat()}
            after = self._newest.pop(subject)
            try:
                highest = await self._stream.publish(subject, row.body or b"", headers, after=after)
            except Unsure as why:
                _log.debug("%s of %s is in doubt: %s", row.key, subject, why)
                break
            self._newest[subject] = highest
            self._done.published += 1
            rows.pop(0)
        return highest
