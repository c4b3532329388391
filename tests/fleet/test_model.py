"""The journal against a model of Molecule, in any order of requests, answers, reports and crashes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from manual_clock import START, ManualClock
from mosvpp import discharge, kW
from mosvpp.events import ExecutionReport, ExecutionResult
from mosvpp.fleet import Dispatch, Journal, State
from mosvpp.fleet._journal_rows import Note, Wanted
from mosvpp.fleet.entries import Answered, Sent
from mosvpp.statuses import EventStatus
from mosvpp.store import Database

SITE = "fecd0001c031e7e8"
SLOT = discharge(5 * kW, start=START + timedelta(hours=1), duration=timedelta(hours=1), priority=10)
BODY = (
    f'{{"mode":"live","event_slots":[{{"event_id":"{SLOT.event_id}","start_time":"2024-01-05T00:00:00Z",'
    '"end_time":"2024-01-05T01:00:00Z","event_type":"discharge","event_quantity":5.0,"event_unit":"kW",'
    '"priority":10,"mandatory":false,"cancelled":false}]}'
)


class Site:
    """What really happens at the site: the truth, which the journal cannot see."""

    def __init__(self) -> None:
        self.arrivals = 0
        self.state: State | None = None
        self.to_report: list[EventStatus] = []

    def take(self, *, cancels: bool) -> bool:
        """A request arrives. Whether it is accepted."""
        if cancels:
            if self.state in (None, State.COMPLETED, State.PARTIALLY_COMPLETED, State.FAILED):
                return False
            if self.state is not State.CANCELLED:
                self._end(State.CANCELLED, EventStatus.CANCELLED)
            return True
        self.arrivals += 1
        self.state = State.CONFIRMED
        return True

    def start(self) -> None:
        self.state = State.IN_PROGRESS
        self.to_report.append(EventStatus.IN_PROGRESS)

    def finish(self, state: State) -> None:
        self._end(state, EventStatus(state.value))

    def _end(self, state: State, status: EventStatus) -> None:
        self.state = state
        self.to_report.append(status)


class Request:
    def __init__(self, program: int, sent: Sent) -> None:
        self.program = program
        self.sent = sent
        self.has_arrived = False
        self.answer: str | None = None


class Fleet(RuleBasedStateMachine):
    """Two programs share a journal, and try to send one event to one site, and to cancel it."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = ManualClock()
        self.database = Database.MEMORY
        self.journal = Journal(self.database, clock=self.clock)
        self.journals = [self.journal, self.journal]
        self.site = Site()
        self.revision = 0
        self.out: list[Request] = []
        self.held: list[EventStatus] = []
        self.cancelled_once = False

    def teardown(self) -> None:
        self.journal.close()

    @initialize()
    def plan(self) -> None:
        for pending in self.journal.record([Wanted(SITE, SLOT)], mode="live", plan="p"):
            pending.result()

    @property
    def known(self) -> Dispatch:
        dispatch = self.journal.get(SITE, SLOT.event_id)
        assert dispatch is not None
        return dispatch

    def _begin(self, program: int, *, cancels: bool, behind: int = 0) -> None:
        self.revision += 10
        sent = Sent(at=self.clock.now(), revision=self.revision - 7 * behind, cancels=cancels, body=BODY)
        # The two programs differ by who holds the newest request; in one store in memory they take turns.
        self.journal._holder = program
        if self.journal.begin(self.known.number, sent).result() is None:
            self.out.append(Request(program, sent))
            if cancels:
                self.cancelled_once = True
            else:
                assert not self.cancelled_once, "an event was sent after it was cancelled"

    @rule(program=st.integers(1, 2), behind=st.integers(0, 2))
    def send(self, program: int, behind: int) -> None:
        self._begin(program, cancels=False, behind=behind)

    @rule(program=st.integers(1, 2))
    def cancel(self, program: int) -> None:
        self.journal.forbid(event_id=SLOT.event_id)
        never = [one for one in (self.known,) if one.state is State.PLANNED and not one.standing.out]
        self.journal.withdraw(never)
        self.cancelled_once = True
        if self.known.state.may_run:
            self._begin(program, cancels=True)

    @precondition(lambda self: any(not one.has_arrived for one in self.out))
    @rule(data=st.data())
    def arrive(self, data: Any) -> None:
        """It reaches the site, in any order."""
        request = data.draw(st.sampled_from([one for one in self.out if not one.has_arrived]))
        request.has_arrived = True
        accepted = self.site.take(cancels=request.sent.cancels)
        request.answer = "accepted" if accepted else "rejected"

    @precondition(lambda self: self.out)
    @rule(data=st.data(), lost=st.booleans())
    def answer(self, data: Any, lost: bool) -> None:
        """The answer comes, or a time-out; where nothing has arrived, nothing was written or nobody knows."""
        request = data.draw(st.sampled_from(self.out))
        if request.has_arrived:
            verdict = "unknown" if lost else request.answer
            self.out.remove(request)
        elif lost:
            verdict = "not_sent"
            self.out.remove(request)
        else:
            return
        entry = Answered(at=self.clock.now(), revision=request.sent.revision, verdict=verdict)
        self.journal.note(Note(self.known.number, entry)).result()

    @precondition(lambda self: self.out)
    @rule(program=st.integers(1, 2))
    def crash(self, program: int) -> None:
        """A program is killed: what it had out may still arrive at once, or never."""
        for request in [one for one in self.out if one.program == program]:
            self.out.remove(request)
        self.clock.advance(121)
        self.journal.close_interrupted()
        for request in self.out:  # they belong to a program that lives, and answers later all the same
            assert request.program != program

    @precondition(lambda self: self.site.state is State.CONFIRMED)
    @rule()
    def start(self) -> None:
        self.site.start()

    @precondition(lambda self: self.site.state is State.IN_PROGRESS)
    @rule(end=st.sampled_from([State.COMPLETED, State.PARTIALLY_COMPLETED, State.FAILED]))
    def finish(self, end: State) -> None:
        self.site.finish(end)

    @precondition(lambda self: self.site.to_report)
    @rule(data=st.data(), again=st.booleans())
    def report(self, data: Any, again: bool) -> None:
        """A report arrives, in any order, perhaps twice."""
        status = data.draw(st.sampled_from(self.site.to_report))
        if not again:
            self.site.to_report.remove(status)
        self._tell(status)

    def _tell(self, status: EventStatus) -> None:
        result = ExecutionResult(event_id=SLOT.event_id, status=status)
        self.journal.apply(ExecutionReport(molecule_id=SITE, results=(result,))).result()

    @invariant()
    def an_event_reaches_a_site_once(self) -> None:
        assert self.site.arrivals <= 1

    @invariant()
    def what_is_said_to_be_over_is_over(self) -> None:
        """The journal may know less than the truth, never the contrary."""
        if not list(self.journal.find()):
            return
        said, truth = self.known.state, self.site.state
        if said in (State.PLANNED, State.REJECTED) and not self.out:
            assert truth is None or self.known.standing.out
        if said is State.CANCELLED:
            assert truth in (None, State.CANCELLED)
            assert all(one.sent.cancels or one.has_arrived for one in self.out)
        if said in (State.COMPLETED, State.PARTIALLY_COMPLETED, State.FAILED):
            assert truth is said


FleetTest = Fleet.TestCase
FleetTest.settings = settings(max_examples=max(20, settings().max_examples // 4), stateful_step_count=25)
