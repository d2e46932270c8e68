"""What may go wrong outside of Sluice (AWS, the network, files) as one sentence a person can act on."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sluice.errors import SluiceError
from sluice.project import Project

_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired"}
_UNKNOWN_KEYS = {
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "AuthFailure",
    "IncompleteSignature",
}
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "Forbidden", "403"}
_GONE = {"NoSuchBucket", "ResourceNotFound", "ResourceNotFoundException", "StateMachineDoesNotExist", "404"}
_THROTTLED = {"Throttling", "ThrottlingException", "TooManyRequestsException", "SlowDown"}
_SIGN_IN = "sign in (`aws sso login`, `aws configure`), or set AWS_PROFILE or AWS_ACCESS_KEY_ID"


class NotReached(SluiceError):
    """AWS, or the local AWS, does not answer."""


class NotSignedIn(SluiceError):
    """There is no region, or there are no credentials that AWS takes."""


class AwsRefused(SluiceError):
    """AWS answered with an error."""


class FileTrouble(SluiceError):
    """A file or folder cannot be read or written."""


def readable_file(path: Path, option: str, fix: str) -> None:
    """Check that a file can be read, before anything is started for it.

    Raises:
        FileTrouble: there is none, it is a folder or a pipe, or it may not be read.
    """
    if path.is_dir():
        raise FileTrouble(f"{path} is a folder", where=option, fix=fix)
    if path.exists() and not path.is_file():
        raise FileTrouble(
            f"{path} is a pipe or a device",
            where=option,
            why="a file is read more than once",
            fix="write it to a file first",
        )
    try:
        path.open("rb").close()
    except OSError as error:
        raise _of_file(error, option, fix) from error


def load_project(folder: Path) -> Project:
    """Read a project before anything is started for it.

    Raises:
        FileTrouble: it is a file.
        ProjectError: there is none, or it breaks a rule.
    """
    if folder.is_file():
        fix = "name the project's folder, which holds its project.toml"
        if folder.name == "project.toml":
            fix = f"name the project's folder: {folder.parent}"
        raise FileTrouble(f"{folder} is a file", where="PROJECT", fix=fix)
    return Project.load(folder)


def explain(error: Exception) -> SluiceError | None:
    """Say what an error of AWS, the network or the file system means; None: it is none of these."""
    if isinstance(error, SluiceError):
        return error
    # Only here: a command line that goes well needs none of it.
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        return _of_aws(error)
    if isinstance(error, BotoCoreError):
        return _of_botocore(error)
    if isinstance(error, Boto3Error):
        return AwsRefused("AWS refused it", why=str(error), fix="mend what it says, and try again")
    return _of_file(error) if isinstance(error, OSError) else None


def _of_botocore(error: Exception) -> SluiceError:
    from botocore import exceptions as known

    if isinstance(error, known.NoRegionError):
        return NotSignedIn(
            "no AWS region is set",
            fix="set AWS_DEFAULT_REGION to the region the stack is in, such as eu-central-1",
        )
    if isinstance(error, known.InvalidRegionError):
        return NotSignedIn("the AWS region is none", why=str(error), fix="set AWS_DEFAULT_REGION to one")
    unsigned = (
        known.NoCredentialsError,
        known.PartialCredentialsError,
        known.CredentialRetrievalError,
        known.TokenRetrievalError,
        known.SSOError,
        known.ProfileNotFound,
    )
    if isinstance(error, unsigned):
        return NotSignedIn("there are no AWS credentials to sign in with", why=str(error), fix=_SIGN_IN)
    if isinstance(error, known.HTTPClientError | known.ConnectionError):
        return _not_reached(error)
    return AwsRefused("AWS could not be asked", why=str(error), fix="mend what it says, and try again")


def _not_reached(error: Any) -> NotReached:
    url = str(error.kwargs.get("endpoint_url", "")) if hasattr(error, "kwargs") else ""
    if urlsplit(url).hostname in ("127.0.0.1", "localhost"):
        return NotReached(
            "the local AWS does not answer",
            where=url,
            why="it was stopped or killed; what it held was in memory and is gone",
            fix="start it again with `sluice up PROJECT`",
        )
    return NotReached(
        "AWS does not answer",
        where=url,
        why=str(error),
        fix="check the network, a proxy, and that AWS_DEFAULT_REGION is a region there is",
    )


def _of_aws(error: Any) -> SluiceError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    where = f"{error.operation_name} ({code})"
    why = str(error.response.get("Error", {}).get("Message", "")) or str(error)
    if code in _EXPIRED:
        return NotSignedIn("the AWS credentials have expired", where=where, why=why, fix=_SIGN_IN)
    if code in _UNKNOWN_KEYS:
        return NotSignedIn("AWS does not know these credentials", where=where, why=why, fix=_SIGN_IN)
    fix = "mend what it says, and try again"
    if code in _DENIED or code.startswith("AccessDenied"):
        return AwsRefused(
            "AWS does not allow it",
            where=where,
            why=why,
            fix="ask for the permission it names, or sign in as somebody who has it",
        )
    if code in _GONE:
        fix = "the stack is not as it was deployed: deploy it again (`sluice up PROJECT`, or `cdk deploy --all`)"
    elif code in _THROTTLED:
        fix = "wait a minute, and try again"
    return AwsRefused("AWS refused it", where=where, why=why, fix=fix)


def _of_file(error: OSError, where: str = "", fix: str = "") -> FileTrouble:
    name = Path(str(error.filename)) if error.filename else None
    place = str(name) if name else where
    whats = {
        errno.ENOENT: "there is no such file",
        errno.EISDIR: "this is a folder, and a file is needed",
        errno.ENOTDIR: "a part of the path is a file, not a folder",
        errno.EEXIST: "there is something else of this name",
        errno.EACCES: "it may not be read or written",
        errno.EPERM: "it may not be read or written",
        errno.EROFS: "nothing can be written there",
        errno.ENOSPC: "the disk is full",
        errno.ENAMETOOLONG: "the name is too long",
        errno.ELOOP: "its links lead in a circle",
    }
    fixes = {
        errno.EACCES: "change its permissions; SLUICE_STATE names another folder for what commands leave behind",
        errno.EROFS: "name a folder that can be written; SLUICE_STATE says where commands leave things behind",
        errno.ENOSPC: "make room, and try again",
    }
    number = error.errno or 0
    return FileTrouble(
        whats.get(number, "a file cannot be used"),
        where=place or where,
        why="" if number in whats else str(error),
        fix=fix or fixes.get(number, "check the path"),
    )
