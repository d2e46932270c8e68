"""`sluice cost`: what a project costs on AWS a month and a million predictions, on paper, with what was assumed."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cli import tables
from cli.failures import load_project
from cli.subcommands import add
from sluice.costing import parts, prices
from sluice.costing.assumptions import HOURS_A_MONTH, Assumptions, per_month
from sluice.costing.parts import Item
from sluice.costing.picture import picture
from sluice.costing.policies import Policy, policies
from sluice.costing.prices import PriceList
from sluice.costing.serving import Crossing, Way, cheapest, crossings, ways
from sluice.features.source import declares_features
from sluice.project import Project
from sluice.tables import Environment

_FLAGS = [each for each in fields(Assumptions) if each.metadata]


@dataclass(frozen=True)
class Bill:
    """All that is told of a project."""

    project: Project
    environment: Environment
    given: Assumptions
    items: list[Item]
    ways: list[Way]
    crossings: list[Crossing]
    policies: list[Policy]


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the subcommand, with a flag for each assumption."""
    parser = add(
        subparsers,
        "cost",
        cost,
        "what a project costs on AWS, on paper: its parts, ways to serve, policies",
        "sluice cost mybank",
        "sluice cost mybank --predictions 20M/month --trainings 30",
        "sluice cost mybank --predictions 5/second --request-ms 8 --json",
        "sluice cost mybank --price ml.g5.xlarge=1.41 --svg cost.svg",
    )
    parser.add_argument("project", type=Path, help="the project's folder")
    parser.add_argument("--environment", choices=("dev", "prod"), default="prod", help="default: prod")
    parser.add_argument(
        "--predictions",
        default="1M/month",
        metavar="N/month",
        help="a number, with k, M or B, by /month, /day, /hour or /second (default: 1M/month)",
    )
    parser.add_argument(
        "--price",
        action="append",
        type=_price,
        default=[],
        metavar="TYPE=USD",
        help="an instance type's price an hour, where it is not known or yours is another",
    )
    for each in _FLAGS:
        assert each.default is not MISSING
        parser.add_argument(
            f"--{each.name.replace('_', '-')}",
            type=float,
            default=each.default,
            metavar="N",
            help=f"{each.metadata['help']} (default: {each.default:,g})",
        )
    parser.add_argument("--svg", type=Path, metavar="FILE", help="draw the ways to serve over predictions")
    parser.add_argument("--json", action="store_true", help="all of it as JSON on stdout")


def _price(text: str) -> tuple[str, float]:
    name, equals, usd = text.partition("=")
    try:
        value = float(usd)
    except ValueError:
        value = -1.0
    if not (name.startswith("ml.") and equals and 0 <= value < float("inf")):
        raise argparse.ArgumentTypeError(f"{text!r} is not TYPE=USD, such as ml.g5.xlarge=1.41")
    return name, value


def cost(arguments: argparse.Namespace) -> int:
    """Add up what a project costs a month: its own settings, AWS's published prices, and what nobody can read off.

    Nothing is asked of AWS. What is assumed is printed, and has a flag; a price that is not known is named, and the
    total says "at least".
    """
    project = load_project(arguments.project)
    given = Assumptions(
        predictions=per_month(arguments.predictions),
        **{each.name: getattr(arguments, each.name) for each in _FLAGS},
    )
    known = PriceList(dict(arguments.price))
    environment: Environment = arguments.environment
    found = ways(project, given, known)
    bill = Bill(
        project,
        environment,
        given,
        parts.month(project, environment, given, known, features=declares_features(arguments.project)),
        found,
        crossings(found),
        policies(project, environment, given, known),
    )
    if arguments.svg is not None:
        title = f"{project.name}: what serving costs, {prices.REGION}, {prices.AS_OF}"
        arguments.svg.write_text(picture(title, found, bill.crossings, given.predictions), encoding="utf-8")
    print(json.dumps(_document(bill, known), indent=2) if arguments.json else "\n".join(_told(bill, known)))
    return 0


def _document(bill: Bill, known: PriceList) -> dict[str, Any]:
    usd, complete = parts.total(bill.items)
    predictions = bill.given.predictions
    return {
        "project": bill.project.name,
        "environment": bill.environment,
        "region": prices.REGION,
        "prices_as_of": prices.AS_OF,
        "assumptions": asdict(bill.given),
        "given_prices": dict(known.given),
        "items": [asdict(item) for item in bill.items],
        "total_usd": usd,
        "complete": complete,
        "usd_per_million": usd / predictions * 1e6 if predictions else None,
        "ways": [
            {
                **asdict(way),
                "monthly_usd": way.monthly(predictions),
                "usd_per_million": way.per_million(predictions),
            }
            for way in bill.ways
        ],
        "crossings": [asdict(each) for each in bill.crossings],
        "policies": [
            {**asdict(each), "monthly_usd": None if each.usd is None else bill.given.trainings * each.usd}
            for each in bill.policies
        ],
        "not_counted": dict(prices.NOT_COUNTED),
        "prices": {name: asdict(price) for name, price in prices.FLAT.items()},
    }


def _told(bill: Bill, known: PriceList) -> Iterator[str]:
    given, predictions = bill.given, bill.given.predictions
    yield (
        f"{bill.project.name}, {bill.environment}: {predictions:,.0f} predictions a month, "
        f"{given.trainings:g} trainings; {prices.REGION}, prices of {prices.AS_OF}, on paper"
    )
    yield ""
    yield from tables.lines(
        ["part", "USD/month", "sum"], [[i.part, _usd(i.usd), i.sum] for i in bill.items], right="USD/month"
    )
    usd, complete = parts.total(bill.items)
    per = f", ${usd / predictions * 1e6:,.2f} a million predictions" if predictions else ""
    yield f"\n{'in all' if complete else 'at least'} ${usd:,.2f} a month{per}"
    for item in bill.items:
        if item.usd is None:
            yield f"  the price is not known of {item.part} ({item.sum}): give it with --price TYPE=USD"
    yield "\nways to serve, of endpoints and batch jobs alone\n"
    best = cheapest(bill.ways, predictions)
    yield from tables.lines(
        ["way", "USD/month", "USD/million", "what"],
        [
            [
                f"{way.name}{' *' if way is best else ''}",
                _usd(way.monthly(predictions)),
                _usd(way.per_million(predictions)),
                way.note,
            ]
            for way in bill.ways
        ],
        right="USD/month USD/million",
    )
    if best is not None:
        yield f"  * costs least at {predictions:,.0f} a month"
    yield from _crossed(bill.crossings)
    yield "\ndeployment policies\n"
    yield from tables.lines(
        ["policy", "minutes", "instance-hours", "USD each", "USD/month", "USD/million"],
        [_row(each, given) for each in bill.policies if not each.impossible],
        right="minutes instance-hours USD each USD/month USD/million",
    )
    for each in bill.policies:
        if each.impossible:
            yield f"  {_named(each)}: not with this fleet: {each.impossible}"
    yield "\nassumed, each with a flag: " + ", ".join(
        f"--{each.name.replace('_', '-')} {getattr(given, each.name):g}" for each in _FLAGS
    )
    yield f"a month has {HOURS_A_MONTH} hours; not counted: {', '.join(prices.NOT_COUNTED)}; docs/cost.md says why"
    if known.given:
        yield "your prices: " + ", ".join(f"{name} ${usd:g}" for name, usd in known.given.items())


def _crossed(met: Sequence[Crossing]) -> Iterator[str]:
    for each in met:
        second = each.predictions / (HOURS_A_MONTH * 3600)
        rate = f"{second:,.0f}" if second >= 100 else f"{second:.3g}"
        yield (
            f"  {each.below} costs less up to {each.predictions:,.0f} a month ({rate} a second), {each.above} beyond"
        )


def _row(policy: Policy, given: Assumptions) -> list[str]:
    monthly = None if policy.usd is None else given.trainings * policy.usd
    million = None if monthly is None or not given.predictions else monthly / given.predictions * 1e6
    return [
        f"{_named(policy)}{' (yours)' if policy.chosen else ''}",
        f"{policy.minutes:.0f}",
        f"{policy.extra_hours:.2f}",
        "?" if policy.usd is None else f"{policy.usd:.4f}",
        _usd(monthly),
        _usd(million),
    ]


def _named(policy: Policy) -> str:
    return policy.strategy if policy.share is None else f"{policy.strategy} {policy.share} %"


def _usd(value: float | None) -> str:
    return "?" if value is None else f"{value:,.2f}"
