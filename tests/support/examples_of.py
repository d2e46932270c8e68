"""The examples of a project, made in Feast's environment: python -m tests.support.examples_of CODE DATA OUT."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq

from containers.features.build_training_set import examples_of


def main(code: str, data: str, out: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        made: pd.DataFrame = examples_of([Path(data)], pq.read_table(data), Path(code), Path(scratch))
    made.to_parquet(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
