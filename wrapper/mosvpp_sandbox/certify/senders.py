"""Checks of whom a receiver believes: secrets, rotation, signatures."""

from __future__ import annotations

from collections.abc import Callable

from mosvpp_sandbox.webhook_builder import Webhook, WebhookBuilder, another, new_signing_secret

from .check import NotApplicableError, check
from .play import Letter, Play

__all__ = ["forged_secret", "forged_signature", "missing_secret", "raw_bytes", "rotated_secret"]

GROUP = "Who is believed"


@check(
    "forged_secret",
    group=GROUP,
    title="A wrong secret is refused",
    expected="a 4xx (401 says it best) for each configured header with a wrong value",
    why="The page on data pushes says that the partner must validate its headers; for execution responses "
    "we infer the same. Whoever knows the URL could otherwise invent telemetry and settlements.",
    basis="documented",
    evidence=("push.validate_headers", "push.auth_headers"),
)
async def forged_secret(play: Play) -> None:
    """Each header alone is wrong, in the ways that careless comparisons miss."""
    if not play.target.headers:
        raise NotApplicableError("no header was given (--header)")
    for name, value in play.target.headers.items():
        for what, wrong in _wrong(value):
            if wrong not in (value, play.target.previous.get(name)):
                for kind, webhook, _ in play.ordinary():
                    headers = {**webhook.headers, name: wrong}
                    await play.must_refuse(Letter(kind, Webhook(webhook.body, headers), f"{name} {what}"))


def _wrong(value: str) -> list[tuple[str, str]]:
    return [
        ("of the same length with another last character", another(value)),
        ("without its last character", value[:-1] or "x"),
        ("with a character more", value + "x"),
        ("in another case", value.swapcase()),
    ]


@check(
    "missing_secret",
    group=GROUP,
    title="A delivery without its secret is refused",
    expected="a 4xx for a delivery in which one configured header is missing",
    why="The page on data pushes says that the partner must validate its headers; for execution responses "
    "we infer the same.",
    basis="documented",
    evidence=("push.validate_headers", "push.auth_headers"),
)
async def missing_secret(play: Play) -> None:
    """Each header in turn."""
    if not play.target.headers:
        raise NotApplicableError("no header was given (--header)")
    for name in play.target.headers:
        for kind, webhook, _ in play.ordinary():
            headers = {key: value for key, value in webhook.headers.items() if key != name}
            await play.must_refuse(Letter(kind, Webhook(webhook.body, headers), f"without {name}"))


@check(
    "rotated_secret",
    group=GROUP,
    title="The previous secret is still taken",
    expected="a 2xx with the secret from before the rotation, and with the new one",
    why="How long Molecule goes on sending an old value after you have changed it is not known; a "
    "receiver that knows both loses nothing while it is changed.",
    basis="unknown",
    evidence=("push.auth_headers", "unknown.delivery_rules"),
)
async def rotated_secret(play: Play) -> None:
    """The old one, the new one, the old one again."""
    if not play.target.previous:
        raise NotApplicableError("no previous value was given (--previous-header)")
    for name, value in play.target.previous.items():
        for what in ("before the new one", "after the new one"):
            for kind, webhook, _ in play.ordinary():
                headers = {**_without(webhook.headers, name), name: value}
                await play.must_take(
                    Letter(kind, Webhook(webhook.body, headers), f"previous {name}, {what}"),
                    *[letter for letter in play.ordinary(f"new {name}") if letter.kind == kind],
                )


@check(
    "forged_signature",
    group=GROUP,
    title="A wrong signature is refused",
    expected="a 4xx for a signature by another key, over another body, of an hour ago, and for none",
    why="Molecule documents no signature; this is for partners whose own gateway signs (Standard "
    "Webhooks). A signature that is not checked in full is worth nothing.",
    basis="our offer",
    evidence=("push.no_signature",),
)
async def forged_signature(play: Play) -> None:
    """The configured headers are right each time; only the signature is not."""
    if play.target.signing_secret is None:
        raise NotApplicableError("no signing secret was given (--signing-secret)")
    honest = play.webhooks
    stranger = WebhookBuilder(honest.headers, signing_secret=new_signing_secret())
    unsigned = WebhookBuilder(honest.headers)
    for kind, webhook, _ in play.ordinary():
        changed = webhook.body.replace(b"}", b',"a":1}', 1)
        for what, forged in (
            ("signed by another key", stranger.raw(webhook.body)),
            ("changed after it was signed", Webhook(changed, webhook.headers)),
            ("signed an hour ago", honest.forged(webhook, how="stale")),
            ("not signed", unsigned.raw(webhook.body)),
        ):
            await play.must_refuse(Letter(kind, forged, what))


@check(
    "raw_bytes",
    group=GROUP,
    title="A body counts as the bytes that came",
    expected="a 2xx for the same JSON in other bytes: spaces, line breaks, escapes, 4.80 for 4.8",
    why="JSON has many spellings. A receiver that reads a body, writes it again and verifies that, "
    "refuses what its sender signed; so a signature is checked over the raw bytes.",
    basis="our offer",
    evidence=("push.no_signature", "behaviour.receiver_answer"),
)
async def raw_bytes(play: Play) -> None:
    """Whether or not it is signed."""
    for kind in play.target.kinds:
        for what, change in _SPELLINGS.items():
            if kind == "data_push":
                text = play.push().webhook.body.decode()
            else:
                text = play.webhooks.execution_response(executed_quantity=4.8, event_unit="kW").body.decode()
            await play.must_take(Letter(kind, play.webhooks.raw(change(text).encode()), what))


_SPELLINGS: dict[str, Callable[[str], str]] = {
    "spaces after commas and colons": lambda text: text.replace(",", ", ").replace('":', '": '),
    "line breaks and tabs": lambda text: f"{{\r\n\t{text[1:-1]}\r\n}}\r\n",
    "an escape in a text": lambda text: text.replace('"timestamp":"2', '"timestamp":"\\u0032', 1),
    "4.80 for 4.8": lambda text: text.replace("4.8", "4.80"),
}


def _without(headers: dict[str, str], name: str) -> dict[str, str]:
    return {key: value for key, value in headers.items() if key.lower() != name.lower()}
