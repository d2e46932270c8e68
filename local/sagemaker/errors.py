"""The errors the SageMaker API answers with, in AWS's codes and words."""

from __future__ import annotations

from typing import Any

from moto.sagemaker.exceptions import SagemakerClientError


class JobFailed(Exception):
    """A job or an endpoint cannot go on; the text becomes its FailureReason."""


def validation(message: str) -> Exception:
    """A request that SageMaker refuses: 400 ValidationException."""
    return _error("ValidationException", message)


def not_found(message: str) -> Exception:
    """What a request names, and there is none of: 400 ResourceNotFound."""
    return _error("ResourceNotFound", message)


def resource_in_use(message: str) -> Exception:
    """A name that is taken: 400 ResourceInUse."""
    return _error("ResourceInUse", message)


def unsupported(what: str, instead: str = "") -> Exception:
    """What AWS can do and the local AWS cannot: refused by name, never skipped."""
    advice = f" {instead}" if instead else ""
    return validation(f"The local AWS does not support {what}, and does not pretend to.{advice}")


def refuse_unsupported(request: dict[str, Any], keys: tuple[str, ...], operation: str) -> None:
    """Raise for the first of `keys` that the request sets to anything but empty or false."""
    for key in keys:
        if request.get(key):
            raise unsupported(f"{key} of {operation}", "Remove it locally, or try it on AWS.")


def _error(code: str, message: str) -> Exception:
    # moto finds the service's error model by the module of the exception's class: it has to be moto's own.
    error: Exception = SagemakerClientError(code, message)
    return error
