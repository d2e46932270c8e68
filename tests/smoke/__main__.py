"""`make smoke-aws`: deploys, trains, serves, fails, stops and cleans up on a real account, and prints its answers."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sluice import naming
from tests.smoke.account import ROOT, Account, Broken
from tests.support.local_aws import LocalAws

PROJECT = "smoke"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
OCI = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json")
ROWS = """\
transaction_count_7d,transaction_count_30d,transaction_count_90d,avg_transaction_30d,days_since_last_purchase,\
days_between_purchases,lifetime_value,lifetime_days,app_share,last_channel,last_category
1,2,3,10.0,5,3,100,50,0.5,app,books
"""
MACHINES = ("IntakeArn", "EventsArn", "BatchArn", "TrainingArn", "DeploymentArn")
CONFIRMATION = "SMOKE_ACCOUNT"


class Smoke:
    """The steps in their order. One that fails is an answer, too; what cannot go on without it is left out."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.environment = "local" if account.local else "dev"
        self.stack = f"sluice-{PROJECT}-{self.environment}"
        self.stacks = (self.stack, f"{self.stack}-data")
        self.project = self._write_project()
        self.log = account.folder / "transactions.csv"
        self.context = ("-c", f"project={self.project}", "-c", f"environment={self.environment}")
        self.assembly = account.folder / "cdk.out"
        self.outputs: dict[str, str] = {}

    def _write_project(self) -> Path:
        """Copy examples/churn under a name nobody else has; each model passes its gate, to be deployed."""
        folder = self.account.folder / "project"
        shutil.copytree(ROOT / "examples" / "churn", folder, ignore=shutil.ignore_patterns("__pycache__"))
        file = folder / "project.toml"
        text = file.read_text().replace('name = "churn"', f'name = "{PROJECT}"')
        file.write_text(text.replace("[gates]\n", '[gates]\nrule = "non-inferiority"\nmargin = 1.0\n'))
        return folder

    def run(self, *, keep: bool) -> None:
        """Run every step, and clean up whatever came of them."""
        if self._is_there(*self.stacks):
            raise Broken(f"there is a stack {self.stack} already: `make smoke-aws ARGUMENTS=--clean-up-only`")
        try:
            self._step("quotas", self.quotas)
            self.deploy()
            for name, step in (
                ("definitions", self.definitions),
                ("manifests", self.manifests),
                ("a first upload", self.first_upload),
                ("a second upload", self.second_upload),
                ("an upload that fails", self.failing_upload),
                ("a job that is stopped", self.stopped_job),
                ("metrics", self.metrics),
            ):
                self._step(name, step)
        except Broken as error:
            self.account.answer("does it deploy?", error, as_expected=False)
        finally:
            if keep:
                print(f"\n## kept: run with --clean-up-only when done ({self.stack})")
            else:
                self.clean_up()

    def _step(self, name: str, step: Callable[[], None]) -> None:
        print(f"\n## {name}", flush=True)
        try:
            step()
        except Exception as error:
            # An answer as well. The questions after it stand on their own, and all of it has to be taken away.
            traceback.print_exception(error)
            self.account.answer(f"{name}: does it work?", repr(error), as_expected=False)

    def _is_there(self, *names: str) -> bool:
        pages = self.account.client("cloudformation").get_paginator("describe_stacks").paginate()
        return any(stack["StackName"] in names for page in pages for stack in page["Stacks"])

    def quotas(self) -> None:
        if self.account.local:
            print("    only an account has quotas")
            return
        done = self.account.sluice("preflight", str(self.project))
        print(done.stdout)
        self.account.answer(
            "may the account start all the instances?", f"status {done.returncode}", done.returncode == 0
        )
        if done.returncode:
            raise SystemExit("nothing was deployed: ask for the quotas above first")

    def deploy(self) -> None:
        print("\n## deploy", flush=True)
        if not self._is_there("CDKToolkit"):
            self.account.cdk("bootstrap", f"aws://{self.account.number}/{self.account.region}")
        outputs = self.account.folder / "outputs.json"
        self.account.cdk(
            *("deploy", "--all", "--require-approval", "never", "--outputs-file", str(outputs)),
            *("--output", str(self.assembly), *self.context),
        )
        self.outputs = json.loads(outputs.read_text())[self.stack]
        self.account.answer("does it deploy?", f"{self.stack} is there", as_expected=True)

    def definitions(self) -> None:
        client = self.account.client("stepfunctions")
        for machine in MACHINES:
            described = client.describe_state_machine(stateMachineArn=self.outputs[machine])
            if self.account.local:
                self.account.answer(f"{machine}: is its definition whole?", "it is read", as_expected=True)
                continue
            found = client.validate_state_machine_definition(
                definition=described["definition"], severity="WARNING"
            )
            text = f"{found['result']} {json.dumps(found['diagnostics'])}"
            self.account.answer(
                f"{machine}: what does Step Functions say of the definition?", text, found["result"] == "OK"
            )

    def manifests(self) -> None:
        assets = json.loads((self.assembly / f"{self.stack}.assets.json").read_text())["dockerImages"]
        repository = f"cdk-hnb659fds-container-assets-{self.account.number}-{self.account.region}"
        for tag in assets:
            (image,) = self.account.client("ecr").batch_get_image(
                repositoryName=repository, imageIds=[{"imageTag": tag}], acceptedMediaTypes=[DOCKER, *OCI]
            )["images"]
            kind = json.loads(image["imageManifest"]).get("mediaType")
            self.account.answer(
                f"image {tag[:8]}: which manifest? (hosting takes Docker's)", kind, kind == DOCKER
            )

    def first_upload(self) -> None:
        self._generate(self.log, seed=1)
        summary = self.account.upload(self.log, self.stack)
        self._outcome("what becomes of a first upload?", summary, "Deployed")
        self._serves(summary)
        endpoint = self.account.client("sagemaker").describe_endpoint(EndpointName=self.stack)
        tags = self.account.client("sagemaker").list_tags(ResourceArn=endpoint["EndpointArn"])["Tags"]
        self.account.answer(
            "which tags has the endpoint?", tags, {"Key": "sluice:project", "Value": PROJECT} in tags
        )
        groups = self.account.client("logs").describe_log_groups(
            logGroupNamePrefix=f"/aws/sagemaker/Endpoints/{self.stack}"
        )["logGroups"]
        kept = [group.get("retentionInDays") for group in groups]
        self.account.answer("how many days does the endpoint's log keep?", kept, bool(kept) and all(kept))

    def second_upload(self) -> None:
        before = self._config()
        file = self.account.folder / "second.csv"
        self._generate(file, seed=2)
        summary = self.account.upload(file, self.stack)
        self._outcome("a second one, the champion judged, the endpoint updated?", summary, "Deployed")
        after = self._config()
        self.account.answer("does another configuration serve?", f"{before} → {after}", before != after)
        self._serves(summary)

    def failing_upload(self) -> None:
        """Forty purchases make no training set: the processing job says so, and the question is where."""
        file = self.account.folder / "tiny.csv"
        file.write_text("".join(self.log.read_text().splitlines(keepends=True)[:40]))
        summary = self.account.upload(file, self.stack)
        self._outcome("what becomes of forty rows?", summary, "Failed")
        job = naming.job(PROJECT, self.environment, summary["execution_arn"]) + "-build"
        described = self.account.client("sagemaker").describe_processing_job(ProcessingJobName=job)
        for key in ("FailureReason", "ExitMessage"):
            self.account.answer(f"the failed job's {key}?", described.get(key))
        cause = str(summary.get("cause"))
        self.account.answer(
            "is what the container said the execution's cause?", cause, "the log is too short" in cause
        )

    def stopped_job(self) -> None:
        """Stop the training job of an execution while it runs, as somebody may in the console."""
        stopped: list[str] = []
        stopper = threading.Thread(target=self._stop_training, args=(stopped,), daemon=True)
        stopper.start()
        file = self.account.folder / "third.csv"
        self._generate(file, seed=3)
        summary = self.account.upload(file, self.stack)
        stopper.join(60)
        self.account.answer("was a training job stopped?", stopped, bool(stopped))
        self._outcome("what becomes of an execution whose job is stopped?", summary, "Failed")
        self.account.answer(
            "does it say so?", summary.get("cause"), "stopped the job" in str(summary.get("cause"))
        )

    def _stop_training(self, stopped: list[str]) -> None:
        client = self.account.client("sagemaker")

        def running() -> str | None:
            jobs = client.list_training_jobs(
                StatusEquals="InProgress", NameContains=f"{PROJECT}-{self.environment}-"
            )
            found = [each["TrainingJobName"] for each in jobs["TrainingJobSummaries"]]
            return found[0] if found else None

        name = self.account.until(running, 3_600, "a training job")
        client.stop_training_job(TrainingJobName=name)
        stopped.append(name)

    def metrics(self) -> None:
        client = self.account.client("cloudwatch")
        for namespace in ("Sluice/Serving", "AWS/SageMaker"):
            pages = client.get_paginator("list_metrics").paginate(Namespace=namespace)
            found = sorted(
                {
                    f"{each['MetricName']}({', '.join(sorted(d['Name'] for d in each['Dimensions']))})"
                    for page in pages
                    for each in page["Metrics"]
                }
            )
            self.account.answer(f"which metrics are in {namespace}?", ", ".join(found) or "none")

    def clean_up(self) -> None:
        """Take all of it away again, and say what is left."""
        print("\n## clean up", flush=True)
        if not self._is_there(*self.stacks):
            print("    there is nothing to take away")
            return
        try:
            done = self.account.sluice("empty", "--stack", self.stack, "--yes")
            if done.returncode:
                raise Broken(f"`sluice empty` ended with {done.returncode}")
            self.account.cdk("destroy", "--all", "--force", *self.context)
            left = self._is_there(*self.stacks)
            self.account.answer("is it gone?", "no" if left else "yes", as_expected=not left)
        except (Broken, ClientError) as error:
            self.account.answer("is it gone?", f"NO, and it costs money: {error}", as_expected=False)
        print(
            "    left: the stack CDKToolkit with its images and code, the logs of jobs and of the endpoint; "
            "`cdk gc` and `aws logs delete-log-group` take them away"
        )

    def _generate(self, file: Path, *, seed: int) -> None:
        customers = "400" if self.account.local else "2000"
        argv = [
            "examples/churn/generate.py",
            "--out",
            str(file),
            "--seed",
            str(seed),
            "--customers",
            customers,
        ]
        subprocess.run([sys.executable, *argv], cwd=ROOT, check=True)

    def _config(self) -> str:
        described = self.account.client("sagemaker").describe_endpoint(EndpointName=self.stack)
        return str(described["EndpointConfigName"])

    def _outcome(self, question: str, summary: dict[str, Any], expected: str) -> None:
        seconds = {state: round(each) for state, each in summary.get("seconds", {}).items() if each >= 1}
        said = " ".join(str(summary.get(key)) for key in ("outcome", "error") if summary.get(key))
        cause = f"\n      {summary['cause']}" if "cause" in summary else ""
        self.account.answer(question, f"{said}; seconds: {seconds}{cause}", summary["outcome"] == expected)

    def _serves(self, summary: dict[str, Any]) -> None:
        if summary["outcome"] != "Deployed":
            raise Broken("there is no endpoint to ask")
        file = self.account.folder / "rows.csv"
        file.write_text(ROWS)
        done = self.account.sluice("predict", "--file", str(file), "--stack", self.stack)
        self.account.answer("does the endpoint answer?", done.stdout.strip(), done.returncode == 0)


def _confirmed(account: Account) -> bool:
    """Say which account it is, and whether the person named that one."""
    identity = account.client("sts").get_caller_identity()
    print(f"account {identity['Account']}, {account.region}, as {identity['Arn']}")
    if account.local:
        return True
    print(
        f"This deploys the project {PROJECT} (environment dev) there, runs four trainings and one endpoint for about "
        "an hour, for less than a dollar, and takes it all away again."
    )
    if os.environ.get(CONFIRMATION) == identity["Account"]:
        return True
    print(
        f"Nothing was done. If that is the account you mean: {CONFIRMATION}={identity['Account']} make smoke-aws"
    )
    return False


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.smoke", description=__doc__)
    parser.add_argument("--local", action="store_true", help="on a local AWS of its own, not on an account")
    parser.add_argument("--keep", action="store_true", help="do not clean up")
    parser.add_argument("--clean-up-only", action="store_true", help="take away what an earlier run left")
    arguments = parser.parse_args()
    if not arguments.local and os.environ.get("AWS_ENDPOINT_URL"):
        print("AWS_ENDPOINT_URL is set, so this is no account of AWS: unset it, or `make smoke-local`")
        return 2
    folder = Path(tempfile.mkdtemp(prefix="sluice-smoke-"))
    server = LocalAws(folder / "local") if arguments.local else None
    try:
        if server:
            os.environ.pop("AWS_PROFILE", None)
            os.environ.update(server.env)
        smoke = Smoke(Account(local=server is not None, folder=folder))
        if not _confirmed(smoke.account):
            return 2
        print(f"what it writes is in {folder}")
        if arguments.clean_up_only:
            smoke.clean_up()
        else:
            smoke.run(keep=arguments.keep)
    except (Broken, BotoCoreError, ClientError) as error:
        print(error)
        return 2
    finally:
        if server:
            server.stop()
    amiss = [answer for answer in smoke.account.answers if answer.as_expected is False]
    print(f"\n## {len(smoke.account.answers)} answers, {len(amiss)} not as expected")
    for answer in amiss:
        print(f"  ✗ {answer.question} {answer.text.splitlines()[0] if answer.text else ''}")
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main())
