"""docs/environment.md names every environment variable that the code reads."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("sluice", "cli", "local", "lambdas", "containers", "infra")
# `environ` of a WSGI request holds headers, in words of its own.
NOT_OURS = {
    *("CONTENT_LENGTH", "CONTENT_TYPE"),
    *("HTTP_AUTHORIZATION", "HTTP_HOST", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE"),
    *("HTTP_USER_AGENT", "HTTP_X_AMZ_TARGET", "PATH_INFO", "REQUEST_METHOD"),
    *("QUERY_STRING", "REMOTE_ADDR", "REQUEST_URI"),
}
READ = re.compile(
    r"""(?:environ(?:ment)?(?:\.get|\.setdefault|\.pop)?[\[(]|getenv\(|_number\(environment,\s)"([A-Z][A-Z0-9_]+)\""""
)


def read_by_the_code() -> set[str]:
    return {
        name
        for room in ROOMS
        for file in (ROOT / room).rglob("*.py")
        for name in READ.findall(file.read_text(encoding="utf-8"))
    } - NOT_OURS


def test_every_variable_is_on_the_page() -> None:
    page = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", page))
    found = read_by_the_code()
    assert {"SLUICE_STATE", "SAGEMAKER_BASE_DIR", "SLUICE_SERVE_QUEUE", "ARTIFACTS_BUCKET"} <= found
    assert found <= named, f"not in docs/environment.md: {sorted(found - named)}"


def test_what_the_makefile_and_the_images_take_is_on_the_page() -> None:
    page = (ROOT / "docs" / "environment.md").read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    settable = set(re.findall(r"^([A-Z_]+) \?=", makefile, re.MULTILINE))
    for dockerfile in (ROOT / "containers").glob("*/Dockerfile"):
        settable |= set(re.findall(r"^ARG (\w+)", dockerfile.read_text(encoding="utf-8"), re.MULTILINE))
    assert {name for name in settable if f"`{name}`" not in page} == set()
