"""What the parts of the local AWS share: where the server answers, its state folder, clients and children."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.processes import Children, Output

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
# Nobody else's: tools keep for good which account an access key is of (the CDK CLI in ~/.cdk/cache), and `test`,
# which other local clouds take as well, is of another account there. The length and the letters of a real key,
# but not its beginning, which scanners for secrets look for.
ACCESS_KEY_ID = "LOCALAWSHASNOSECRETS"
SECRET_ACCESS_KEY = "local-aws"  # noqa: S105

# What a child may see of the caller's environment. An allowlist: credentials and profiles of a real account,
# PYTHONPATH and proxies must not reach code that believes to run on AWS.
_INHERITED = (
    *("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "TZ", "LANG", "LC_ALL", "LC_CTYPE"),
    *("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "OMP_NUM_THREADS", "SSL_CERT_FILE"),
)


class Context:
    """One running local AWS. Thread-safe."""

    account_id = ACCOUNT_ID
    region = REGION

    def __init__(self, *, port: int, state_dir: Path, pythons: Sequence[str] = ()) -> None:
        self.port = port
        self.endpoint_url = f"http://127.0.0.1:{port}"
        self.state_dir = state_dir.resolve()
        self.pythons = (sys.executable, *pythons)
        # Of the server for MLflow: where it answers, and what makes it forget all runs.
        self.mlflow_endpoint: str | None = None
        self.forget_runs: Callable[[], None] | None = None
        self.stopping = threading.Event()
        self.children = Children()
        self._clients: dict[tuple[str, str], Any] = {}
        self._clients_lock = threading.Lock()
        self._session: boto3.session.Session | None = None

    def client(self, service: str, region: str | None = None) -> Any:
        """A boto3 client that talks to this server; one per service and region, shared by all threads.

        It never retries: both ends are this process, and a retry would only repeat the side effects.
        """
        key = (service, region or self.region)
        with self._clients_lock:
            if key not in self._clients:
                self._clients[key] = self._new_client(*key)
            return self._clients[key]

    def aws_env(self) -> dict[str, str]:
        """The variables that make any AWS SDK or tool talk to this server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
            "AWS_SECRET_ACCESS_KEY": SECRET_ACCESS_KEY,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            # StartSyncExecution and TestState are sent to `sync-` and the endpoint's host, which is no host here.
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            # What brings the ARN of an MLflow app to the server of this machine, in MLflow's clients.
            **({"SAGEMAKER_MLFLOW_CUSTOM_ENDPOINT": self.mlflow_endpoint} if self.mlflow_endpoint else {}),
        }

    def child_env(self) -> dict[str, str]:
        """The environment of a child process: the AWS variables, and nothing of the caller's account."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return {
            "PATH": os.defpath,
            **inherited,
            **self.aws_env(),
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def spawn(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        stdout: Output = subprocess.DEVNULL,
        stderr: Output = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """A child in its own process group that ends with the server: `Children.spawn`."""
        return self.children.spawn(argv, env=env, cwd=cwd, stdout=stdout, stderr=stderr)

    def terminate(self, process: subprocess.Popen[bytes], grace_seconds: float = 5) -> None:
        """SIGTERM, then SIGKILL, the child and its process group: `Children.terminate`."""
        self.children.terminate(process, grace_seconds)

    def _new_client(self, service: str, region: str) -> Any:
        # Created under the lock: a boto3 session is not thread-safe, the clients are.
        if self._session is None:
            self._session = boto3.session.Session()
        return self._session.client(
            service,  # type: ignore[call-overload]  # boto3-stubs overloads on literals
            region_name=region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=ACCESS_KEY_ID,
            aws_secret_access_key=SECRET_ACCESS_KEY,
            config=Config(
                max_pool_connections=64,
                read_timeout=16 * 60,  # a Lambda function may take 15 minutes
                retries={"total_max_attempts": 1},
            ),
        )
