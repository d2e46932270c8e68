"""`sluice preflight`: whether an AWS account may start what a project needs, before the first upload finds out."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cli.failures import load_project
from cli.toolchain import ROOT
from sluice import instances
from sluice.instances import Use
from sluice.project import Project
from sluice.tables import Environment

_SERVICE = "sagemaker"
# A code stands for one quota in every account and region; the name that comes with the answer is held against the one
# meant. Quotas whose code is not here are found by their name, among about two thousand.
_CODES = {
    "ml.m5.large for processing job usage": "L-8541302D",
    "ml.m5.large for training job usage": "L-611FA074",
    "ml.m5.large for transform job usage": "L-236AE59F",
    "ml.t2.medium for endpoint usage": "L-29C181D7",
}


@dataclass(frozen=True)
class Need:
    """Instances that have to be there at one time. With `at_first` of them things work until the endpoint changes."""

    use: Use
    instance_type: str
    count: int
    at_first: int

    @property
    def quota(self) -> str:
        return self.use.quota(self.instance_type)


@dataclass(frozen=True)
class Answer:
    """What the account allows; both are None where SageMaker has no such quota, so no such instances for this use."""

    code: str | None
    allowed: int | None


def needs(project: Project, context: Mapping[str, str], *, batch: bool = False) -> list[Need]:
    """List what one execution needs, with `batch` a batch, too; `context` are the keys of `cdk deploy -c`."""
    processing = context.get("processing_instance_type", instances.PROCESSING)
    transform = context.get("transform_instance_type", instances.TRANSFORM)
    serving, fleet = project.serving.instance_type, project.serving.instance_count
    spot = project.training.spot_in(environment_of(context))
    trials = 1 if project.search is None else min(project.search.parallel, project.search.trials)
    found = [
        Need(Use.PROCESSING, processing, 1, 1),
        Need(Use.SPOT_TRAINING if spot else Use.TRAINING, project.model.instance_type, trials, trials),
        # An update starts the new fleet beside the old one, and then takes the old one away.
        Need(Use.ENDPOINT, serving, 2 * fleet, fleet),
    ]
    transforming = project.batch.max_instances if batch else int(project.model.image is not None)
    if transforming:
        found.insert(2, Need(Use.TRANSFORM, transform, transforming, transforming))
    return found


def environment_of(context: Mapping[str, str]) -> Environment:
    """Give the environment that a deployment with this context is for; what it may be, `cdk deploy` says."""
    named: Environment = "dev"
    match context.get("environment", named):
        case "local" | "dev" | "prod" as named:
            return named
        case other:
            raise SystemExit(f"-c environment={other}: it is local, dev or prod")


def ask(client: Any, names: Sequence[str]) -> dict[str, Answer]:
    """Ask Service Quotas what is applied to the account, else what is AWS's default, for each quota by its name.

    Raises:
        ClientError: the account may not be asked, or does not answer.
    """
    answers: dict[str, Answer] = {}
    for name in names:
        quota = _by_code(client, _CODES[name]) if name in _CODES else None
        if quota and quota["QuotaName"] == name:
            answers[name] = _answer(quota)
    # The applied quotas leave out those that never were raised in some accounts; the defaults have all of them.
    for listing in ("list_service_quotas", "list_aws_default_service_quotas"):
        missing = set(names) - answers.keys()
        if missing:
            pages = client.get_paginator(listing).paginate(ServiceCode=_SERVICE)
            quotas = (quota for page in pages for quota in page["Quotas"])
            answers |= {
                quota["QuotaName"]: _answer(quota) for quota in quotas if quota["QuotaName"] in missing
            }
    return {name: answers.get(name, Answer(None, None)) for name in names}


def _by_code(client: Any, code: str) -> dict[str, Any] | None:
    """Give the quota as applied, else as AWS has it by default; None where no quota has this code."""
    for operation in (client.get_service_quota, client.get_aws_default_service_quota):
        try:
            found: dict[str, Any] = operation(ServiceCode=_SERVICE, QuotaCode=code)["Quota"]
        except client.exceptions.NoSuchResourceException:
            continue
        return found
    return None


def _answer(quota: Mapping[str, Any]) -> Answer:
    return Answer(quota["QuotaCode"], int(quota["Value"]))


def verdict(need: Need, answer: Answer) -> str:
    """Give `ok`, `short`, `no update` (the first deployment works, a second does not) or `not offered`."""
    if answer.allowed is None:
        return "not offered"
    if answer.allowed >= need.count:
        return "ok"
    return "no update" if need.at_first <= answer.allowed else "short"


def report(wanted: Sequence[Need], answers: Mapping[str, Answer]) -> Iterator[str]:
    """Give the lines of the table, and below it what to do about each quota that is not ok."""
    width = max(len(need.quota) for need in wanted)
    yield f"  {'quota':<{width}}  needed  allowed"
    for need in wanted:
        answer = answers[need.quota]
        allowed = "–" if answer.allowed is None else str(answer.allowed)
        yield f"  {need.quota:<{width}}  {need.count:>6}  {allowed:>7}  {verdict(need, answer)}"
    amiss = [need for need in wanted if verdict(need, answers[need.quota]) != "ok"]
    if not amiss:
        yield "\nthe account allows it; what else runs in the account at the same time counts as well"
        return
    for need in amiss:
        yield f"\n{need.quota}"
        yield from (f"  {line}" for line in _advice(need, answers[need.quota]))


def _advice(need: Need, answer: Answer) -> Iterator[str]:
    if answer.allowed is None:
        yield f"SageMaker has no such quota here, so no {need.instance_type} for this use"
    elif verdict(need, answer) == "no update":
        yield f"the first deployment works; each later one needs {need.at_first} more while both fleets run"
    if answer.code:
        yield (
            "ask, which is free and takes minutes to days:  aws service-quotas request-service-quota-increase "
            f"--service-code {_SERVICE} --quota-code {answer.code} --desired-value {need.count}"
        )
    yield f"or choose another type:  {need.use.setting}"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "preflight",
        help="say whether an AWS account may start the instances that a project needs",
        description=preflight.__doc__,
        epilog="example: sluice preflight mybank -c processing_instance_type=ml.m5.xlarge | "
        "exit status: 0 all is allowed, 1 something is not, or the account could not be asked",
    )
    parser.add_argument("project", type=Path, help="the project's folder")
    parser.add_argument(
        "-c",
        "--context",
        metavar="KEY=VALUE",
        action="append",
        type=_pair,
        default=[],
        help="as for `cdk deploy`: environment, processing_instance_type and transform_instance_type count here",
    )
    parser.add_argument(
        "--batch", action="store_true", help="also what the largest `sluice predict --batch` takes"
    )
    parser.add_argument("--json", action="store_true", help="the table as JSON on stdout")
    parser.set_defaults(command=preflight)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value


def preflight(arguments: argparse.Namespace) -> int:
    """Ask the account's quotas for each kind of instance that one execution of the project needs at one time.

    Nothing is started and nothing is changed. The account and the region are those boto3 finds.
    """
    import boto3

    project = load_project(arguments.project)
    context = {**_deployed_context(), **dict(arguments.context)}
    wanted = needs(project, context, batch=arguments.batch)
    client = boto3.client("service-quotas")
    account, region = boto3.client("sts").get_caller_identity()["Account"], client.meta.region_name
    answers = ask(client, [need.quota for need in wanted])
    verdicts = [verdict(need, answers[need.quota]) for need in wanted]
    if arguments.json:
        rows = [
            {"quota": need.quota, "needed": need.count, "verdict": said, **asdict(answers[need.quota])}
            for need, said in zip(wanted, verdicts, strict=True)
        ]
        print(json.dumps({"account": account, "region": region, "quotas": rows}, indent=2))
    else:
        print(f"account {account}, {region}: instances that {project.name} needs at one time\n")
        print("\n".join(report(wanted, answers)))
    return 0 if set(verdicts) == {"ok"} else 1


def _deployed_context() -> dict[str, str]:
    """Read what `cdk deploy` takes from cdk.json; -c goes before it, there as here."""
    context: dict[str, str] = json.loads((ROOT / "cdk.json").read_text(encoding="utf-8"))["context"]
    return context
