"""All checks, in the order in which they are made: the gentle ones first, those that kill at the end."""

from __future__ import annotations

from . import answers, contents, dispatching, durability, order, senders
from .check import Check

__all__ = ["CHECKS"]

CHECKS: tuple[Check, ...] = (
    answers.ordinary,
    senders.missing_secret,
    senders.forged_secret,
    senders.rotated_secret,
    senders.forged_signature,
    senders.raw_bytes,
    contents.two_forms,
    contents.unknown_fields,
    contents.unknown_words,
    contents.new_metrics,
    contents.written_times,
    contents.other_shapes,
    order.duplicates,
    order.duplicates_at_once,
    order.late,
    order.out_of_order,
    answers.big_push,
    answers.burst,
    answers.exactly_200,
    answers.in_time,
    durability.listed_as_sent,
    durability.nothing_forged_listed,
    contents.nan,
    contents.malformed,
    durability.kept_after_kill,
    dispatching.asks_rightly,
    dispatching.asked_once,
    dispatching.waits_when_told,
    dispatching.keeps_its_key,
    dispatching.only_acceptance,
)
