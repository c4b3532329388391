"""The page around the charts."""

from __future__ import annotations

from mosvpp.fleet.settling import SettledEvent

from . import charts

__all__ = ["to_html"]

_WORST = 25
_LISTED = 200


def to_html(event: SettledEvent) -> str:
    """The page; everything in it is escaped. Raises `ImportError` without the extra `fleet`."""
    try:
        import jinja2
    except ModuleNotFoundError:
        msg = "the settlement page needs Jinja2, which comes with an extra: pip install 'mosvpp[fleet]'"
        raise ImportError(msg, name="jinja2") from None
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mosvpp.fleet.settlement_page", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"kwh": _kwh, "percent": _percent, "plural": _plural}
    to_look_at = [
        case for group in ("doubt", "failed") for case in event.cases if charts.group_of(case.state) == group
    ]
    return environment.get_template("page.html").render(
        event=event,
        curve=charts.curve(event),
        grid=charts.grid(event),
        coverage=charts.coverage(event),
        groups=charts.GROUPS,
        outcomes=[
            (style, words, sum(event.states[state] for state in states))
            for style, (words, states) in charts.GROUPS.items()
            if any(event.states[state] for state in states)
        ],
        group_of=charts.group_of,
        worst=event.worst(_WORST),
        to_look_at=to_look_at[:_LISTED],
        not_listed=len(to_look_at) - len(to_look_at[:_LISTED]),
        policies={
            "zero": "nothing flowed in them",
            "drop": "they are left out, of what was asked as well",
            "hold": "the last value went on",
        },
    )


def _kwh(energy: float | None) -> str:
    if energy is None:
        return "–"
    return f"{energy / 1000:,.2f} MWh" if abs(energy) >= 1_000 else f"{energy:.4g} kWh"


def _percent(part: float | None) -> str:
    return "–" if part is None else f"{part:.1%}".replace("%", " %")


def _plural(count: int, word: str) -> str:
    return f"{count:,} {word}{'' if count == 1 else 's'}"
