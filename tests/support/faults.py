"""Models that go wrong in service, each in its own way, made of one that does not; and a client that counts."""

from __future__ import annotations

import io
import sys
import tarfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import joblib
from botocore.exceptions import ClientError

# Of a trained model's archive: the rest makes it fast, and would answer in the place of what is put there.
_KEPT = ("contract.json",)
_BADLY = '''\
"""A model that does as it is told."""

import os
import signal
import time

import numpy as np


class Model:
    def __init__(self, how):
        self.how = how
        self.asked = 0
        self.kept = []

    def predict_proba(self, X):
        self.asked += 1
        if self.how == "fails once in ten" and self.asked % 10 == 0:
            raise RuntimeError("this row is one too many")
        if self.how == "crashes under load" and self.asked > 15:
            os._exit(3)
        if self.how == "leaks memory":
            # 16 MB a request, written to, so that they are there. At 160 MB it goes as from the kernel, which is not
            # asked to end others of this machine.
            self.kept.append(np.ones(2_000_000))
            if len(self.kept) > 10:
                os.kill(os.getpid(), signal.SIGKILL)
        if self.how == "slows down":
            time.sleep(2.5)
        yes = 0.25
        if self.how == "answers nonsense":
            yes = np.random.default_rng(self.asked).uniform(0.8, 1.0, len(X))
        return np.column_stack([1 - yes * np.ones(len(X)), yes * np.ones(len(X))])

    def predict(self, X):
        return np.array(["no"] * len(X))
'''


def archive(folder: Path, trained: bytes, how: str) -> bytes:
    """Make a model's archive of a trained one: it answers a quarter to everything, but for what `how` says.

    `never comes up` is an archive without a model.
    """
    code = folder / "badly"
    code.mkdir(parents=True, exist_ok=True)
    (code / "badly.py").write_text(_BADLY, encoding="utf-8")
    made = io.BytesIO()
    with (
        tarfile.open(fileobj=io.BytesIO(trained)) as whole,
        tarfile.open(fileobj=made, mode="w:gz", compresslevel=1) as tar,
    ):
        for member in whole.getmembers():
            if member.name.removeprefix("./") in _KEPT or member.name.removeprefix("./").startswith("code/"):
                tar.addfile(member, whole.extractfile(member) if member.isfile() else None)
        tar.add(code / "badly.py", "code/badly.py")
        if how != "never comes up":
            model = folder / "model.joblib"
            sys.path.insert(0, str(code))
            try:
                import badly  # type: ignore[import-not-found]  # the file was written above

                joblib.dump(badly.Model(how), model)
            finally:
                sys.path.remove(str(code))
            tar.add(model, "model.joblib")
    return made.getvalue()


@dataclass
class Client:
    """Sends rows one after the other until it is closed, and keeps what came back."""

    runtime: Any
    endpoint: str
    body: bytes
    answers: list[bytes] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, daemon=True) for _ in range(4)]

    def __enter__(self) -> Client:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        # A pause, so that the clients leave the machine to those that they talk to.
        while not self._stop.wait(0.03):
            try:
                answer = self.runtime.invoke_endpoint(
                    EndpointName=self.endpoint, Body=self.body, ContentType="text/csv", Accept="text/csv"
                )
                self.answers.append(answer["Body"].read())
            except ClientError as error:
                self.failures.append(str(error))
