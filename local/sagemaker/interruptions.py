"""Takes the instance of a spot training job back, as EC2 would: a request of the local AWS's own.

`curl -X POST $AWS_ENDPOINT_URL/moto-api/sagemaker/training-jobs/NAME/interrupt`
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.moto_api._internal import urls
from moto.sagemaker.exceptions import SagemakerClientError
from moto.sagemaker.models import sagemaker_backends

if TYPE_CHECKING:
    from local.context import Context

PATH = "{0}/moto-api/sagemaker/training-jobs/(?P<name>[^/]+)/interrupt$"


def install(context: Context) -> None:
    """Add the request to those that moto answers about itself; call it before the first of them."""

    def interrupt(request: Any, full_url: str, _headers: Any) -> tuple[int, dict[str, str], str]:
        name = full_url.split("?")[0].rstrip("/").split("/")[-2]
        jobs = sagemaker_backends[context.account_id][context.region].training_jobs
        if request.method != "POST":
            return _answer(405, "Use POST.")
        if name not in jobs:
            return _answer(404, f"There is no training job {name}.")
        try:
            jobs[name].interrupt()
        except SagemakerClientError as error:
            return _answer(400, str(error.message))
        return _answer(200, f"The instance of {name} is taken back.")

    urls.url_paths[PATH] = interrupt


def _answer(status: int, message: str) -> tuple[int, dict[str, str], str]:
    return status, {"Content-Type": "application/json"}, json.dumps({"message": message})
