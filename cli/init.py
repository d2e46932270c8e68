"""`sluice init`: a project folder from a data file."""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

from cli.progress import say
from sluice.drafting.draft import Draft, draft_project
from sluice.drafting.rehearsal import rehearse
from sluice.drafting.sampling import read_sample, shown
from sluice.drafting.scaffold import check_folder, preview, project_name, write_project
from sluice.drafting.views import obstacle


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "init",
        help="write a project from a data file",
        description=init.__doc__,
        epilog="example: sluice init mybank --from bank.csv --target y",
    )
    parser.add_argument(
        "name", type=Path, metavar="NAME", help="the folder to write; the project is called after it"
    )
    parser.add_argument(
        "--from", dest="file", type=Path, required=True, metavar="FILE", help="CSV, TSV or Parquet"
    )
    parser.add_argument("--target", required=True, metavar="COLUMN", help="what is to be predicted")
    parser.add_argument("--entity", metavar="COLUMN", help="what a row is about (default: the row's hash)")
    parser.add_argument("--timestamp", metavar="COLUMN", help="when a row was true")
    parser.add_argument("--positive", metavar="LABEL", help="the class whose probability is predicted")
    parser.add_argument("--force", action="store_true", help="overwrite the files of an existing folder")
    parser.set_defaults(command=init)


def init(arguments: argparse.Namespace) -> int:
    """Read a data file and write a project: project.toml, with its reasons as comments, and train.py.

    Where --entity names each row once, features.py has the endpoint look the columns up by id.
    """
    folder: Path = arguments.name
    check_folder(folder, force=arguments.force)
    name = project_name(folder)
    if name != folder.resolve().name:
        say(
            f"the project is called {name}: {folder.resolve().name!r} cannot name AWS resources (a lower-case letter,"
            " then up to 23 more, digits or hyphens)"
        )
    sample = read_sample(arguments.file)
    if not sample.complete:
        say(f"{arguments.file.name} is large: looked at its first {sample.rows:,} rows")
    draft = draft_project(
        sample,
        target=arguments.target,
        entity=arguments.entity,
        timestamp=arguments.timestamp,
        positive=arguments.positive,
    )
    draft = rehearse(draft, preview(name, draft))
    written = write_project(folder, draft, force=arguments.force)
    _report(draft, written, folder, arguments.file)
    return 0


def _report(draft: Draft, written: list[Path], folder: Path, file: Path) -> None:
    left_out = [column for column in draft.columns if column.role == "left out"]
    features = len(draft.named("numeric")) + len(draft.named("categorical"))
    positive = f", positive {draft.positive!r}" if draft.positive is not None else ""
    say(f"{file.name}: {draft.sample.rows:,} rows, {draft.sample.table.num_columns} columns")
    say(f"  target    {shown(draft.target.name)} ({draft.problem}{positive})")
    say(f"  features  {features}")
    for column in left_out:
        why = f"gives {shown(draft.target.name)} away, {column.reason}" if column.leak else column.reason
        say(f"  left out  {shown(column.name)}: {why}")
    if draft.entity_suggestion:
        say(f"  entity    none given; --entity {draft.entity_suggestion} would fit")
    if draft.entity is not None:
        say(f"  by id     {_by_id(draft)}")
    if (folder / "features.py").exists() and folder / "features.py" not in written:
        say("  note      features.py was there before, and is used as it is")
    for warning in draft.warnings:
        say(f"  note      {warning}")
    say(f"wrote {', '.join(os.fspath(path) for path in written)}")
    say(f"next: {shlex.join(('sluice', 'run', str(folder), '--data', str(file)))}")


def _by_id(draft: Draft) -> str:
    why = obstacle(draft)
    if why is not None:
        return f"not: {why}"
    return f"the endpoint looks the features up by {shown(draft.entity or '')}: features.py"
