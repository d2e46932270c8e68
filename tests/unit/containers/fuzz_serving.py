"""Coverage-guided fuzzing of what reads a request, held against the oracle: `make fuzz` runs it, no test does.

The first byte of an input chooses the body's type and the second the answer's; the rest is the body. The arguments
are libFuzzer's, after the folder for the corpus and all else that is written.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import atheris
import numpy as np
import pyarrow as pa

# Everything these import is instrumented, so that a new branch of the reading is a reason to keep an input.
with atheris.instrument_imports(include=["sluice", "containers", "csv", "json"]):
    from containers.serve import app, encoding  # noqa: F401 - to be instrumented
    from sluice.decoding import bodies  # noqa: F401 - to be instrumented
    from tests.support import oracle
    from tests.support.asgi import call, made, npy
    from tests.unit.containers.test_app_limits import parquet
    from tests.unit.containers.test_fuzz import CSV, JSON, LINES, NPY, ODD, PARQUET, judge, same_as_explained
    from tests.unit.containers.test_malformed import FIELDS, ROW

TYPES = (JSON, LINES, CSV, NPY, PARQUET)
ACCEPTS = (JSON, LINES, CSV, NPY)
RECORD, VALUES = json.dumps(ROW), json.dumps(list(ROW.values()))
KINDS = ("i8", "f8", "U9", "i8", "?", "U9")


def seeds() -> list[tuple[str, bytes]]:
    """Sound bodies of every type."""
    texts = [
        (JSON, RECORD),
        (JSON, f"[{RECORD}, {RECORD}]"),
        (JSON, f'{{"instances": [{VALUES}]}}'),
        (LINES, f"{RECORD}\n{RECORD}\r\n"),
        (LINES, f"{VALUES}\n"),
        (CSV, ",".join(FIELDS)),
        (CSV, ",".join(ROW) + "\r\n" + ",".join(f'"{field}"' for field in FIELDS) + "\r\n"),
    ]
    structured = np.array([tuple(ROW.values())], dtype=list(zip(ROW, KINDS, strict=True)))
    table = parquet(pa.table({name: [value] for name, value in ROW.items()}))
    return [
        *((media_type, text.encode()) for media_type, text in texts),
        *((NPY, npy(array)) for array in (np.array([FIELDS]), structured, np.ones((2, 6)))),
        (PARQUET, table),
    ]


def write_seeds(folder: Path) -> list[str]:
    """Write the corpus to begin with and a dictionary; give libFuzzer's arguments for them."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, (media_type, body) in enumerate(seeds()):
        (corpus / f"seed-{number}").write_bytes(bytes([TYPES.index(media_type), 0]) + body)
    words = {word.encode() for word in (*ODD, *ROW, *FIELDS) if 0 < len(word) < 60}
    entries = ['"' + "".join(f"\\x{byte:02x}" for byte in word) + '"' for word in sorted(words)]
    (folder / "dictionary").write_text("\n".join(entries) + "\n")
    return [str(corpus), f"-dict={folder / 'dictionary'}", f"-artifact_prefix={folder}/"]


def main(folder: Path, arguments: list[str]) -> None:
    application = made(oracle.compiled())

    def answer(data: bytes) -> None:
        if len(data) < 2:
            return
        media_type, accept = TYPES[data[0] % len(TYPES)], ACCEPTS[data[1] % len(ACCEPTS)]
        body = data[2:]
        judge(application, body, media_type, call(application, body, media_type, accept), accept)
        same_as_explained(body, media_type)

    atheris.Setup([sys.argv[0], *write_seeds(folder), *arguments], answer)
    atheris.Fuzz()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
