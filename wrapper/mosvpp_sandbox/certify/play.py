"""What a check can do: send deliveries, and say what has to become of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import NamedTuple

from mosvpp_sandbox.webhook_builder import SAMPLE_METRICS, Webhook, WebhookBuilder

from .check import Exchange, NotApplicableError, Result
from .dispatcher import Dispatched
from .process import ReceiverProcess
from .sender import Answer, Sender
from .target import Kind, Target

__all__ = ["KIND_NAMES", "Letter", "Play"]

KIND_NAMES: dict[Kind, str] = {"data_push": "data push", "execution_response": "execution response"}
_FAULTS_SHOWN = 6


class Letter(NamedTuple):
    """A delivery on its way to one endpoint; `what` tells people what is special about it."""

    kind: Kind
    webhook: Webhook
    what: str


class Play:
    """Plays one receiver's deliveries. `result` is that of the check which is being made."""

    def __init__(self, target: Target, sender: Sender, process: ReceiverProcess | None) -> None:
        self.target = target
        self.process = process
        self.taken: dict[bytes, str] = {}
        self.refused: dict[bytes, str] = {}
        self.history: list[Exchange] = []
        self.dispatched: Dispatched | None = None
        self._sender = sender
        self._result: Result | None = None
        self._begun: Callable[[], object] = lambda: None
        self._numbers = count(1)
        # Each body is another one, also for a receiver that tells pushes apart by site and time.
        self._began_at = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
        self.webhooks = WebhookBuilder(
            target.headers,
            molecule_id=target.molecule_id,
            now=self.next_time,
            signing_secret=target.signing_secret,
        )

    @property
    def result(self) -> Result:
        """The result that the running check adds to."""
        assert self._result is not None
        return self._result

    def begin(self, result: Result, on_exchange: Callable[[], object]) -> None:
        """From now on everything belongs to this check; `on_exchange` is called after each delivery."""
        self._result, self._begun = result, on_exchange

    # --- deliveries ---

    def push(self, what: str = "an ordinary one") -> Letter:
        """A data push like the sample on the page."""
        return Letter("data_push", self.webhooks.data_push(SAMPLE_METRICS), what)

    def report(self, what: str = "an ordinary one") -> Letter:
        """An execution response for an event that nobody has seen."""
        return Letter("execution_response", self.webhooks.execution_response(), what)

    def ordinary(self, what: str = "an ordinary one") -> list[Letter]:
        """One for each endpoint that there is."""
        return [self.push(what) if kind == "data_push" else self.report(what) for kind in self.target.kinds]

    def require(self, kind: Kind) -> None:
        """Leave the check where there is no such endpoint."""
        if kind not in self.target.kinds:
            option = f"--{kind.replace('_', '-')}-url"
            msg = f"no endpoint for it was given ({option})"
            raise NotApplicableError(msg)

    def has(self, kind: Kind) -> bool:
        """Whether there is such an endpoint."""
        return kind in self.target.kinds

    def next_time(self) -> datetime:
        """A time for a body, a second after the one before."""
        return self._began_at + timedelta(seconds=next(self._numbers))

    # --- expectations ---

    async def must_take(self, *letters: Letter) -> None:
        """Send one after the other; each has to be answered with a 2xx (whether 200 is another check)."""
        for letter in letters:
            await self.take(letter)

    async def must_take_together(self, letters: Iterable[Letter]) -> None:
        """The same, all at once."""
        await asyncio.gather(*(self.take(letter) for letter in letters))

    async def take(self, letter: Letter) -> Answer:
        """Send one that has to be taken."""
        answer = await self._send(letter, "2xx", lambda answer: answer.is_taken, is_authentic=True)
        if answer.is_taken:
            self.taken[letter.webhook.body] = self.result.check.name
        return answer

    async def send_under_load(self, letter: Letter) -> Answer:
        """Send one whose answer decides nothing: the receiver may be killed before it comes."""
        return await self._send(letter, "any", lambda _: True)

    async def must_refuse(self, letter: Letter) -> None:
        """Send one that has to be turned away with a 4xx."""
        await self._send(letter, "4xx", lambda answer: answer.is_refused)
        self.refused[letter.webhook.body] = letter.what

    async def must_survive(self, letter: Letter) -> None:
        """Send one that may be taken or refused, but has to be answered, and not with a 5xx."""
        await self._send(letter, "below 500", lambda answer: answer.is_sound)

    async def _send(
        self, letter: Letter, wanted: str, is_right: Callable[[Answer], bool], *, is_authentic: bool = False
    ) -> Answer:
        kind, (body, headers), what = letter
        result = self.result
        answer = await self._sender.send(kind, body, headers, result.check.name)
        right = is_right(answer)
        exchange = Exchange(kind, what, wanted, answer, right, is_authentic, len(body))
        result.exchanges.append(exchange)
        self.history.append(exchange)
        self._begun()
        if not right:
            self.fault(f"{KIND_NAMES[kind]}, {what}: {answer}, not {wanted}")
        return answer

    def fault(self, sentence: str) -> None:
        """Let the check fail, and say why."""
        faults = self.result.faults
        if len(faults) < _FAULTS_SHOWN:
            faults.append(sentence)
        elif len(faults) == _FAULTS_SHOWN:
            faults.append("and more like these")

    def note(self, sentence: str) -> None:
        """Say something about a check that does not decide it."""
        self.result.notes.append(sentence)

    # --- whether it is there ---

    async def is_there(self, patience: float) -> bool:
        """Whether the receiver answers an ordinary delivery, now or soon; it counts for no check."""
        end = asyncio.get_running_loop().time() + patience
        while True:
            for kind, (body, headers), _ in self.ordinary():
                answer = await self._sender.send(kind, body, headers, "is-there")
                if answer.status is None:
                    break
            else:
                return True
            if asyncio.get_running_loop().time() > end:
                return False
            await asyncio.sleep(0.3)
