"""The tables of views that have left features.py: which there are, and how to drop one."""

from __future__ import annotations

from collections.abc import Iterator

from cli.stack import Stack
from sluice import naming


def tables(deployed: Stack) -> set[str]:
    """Name the tables of the stack's online store, whoever made them."""
    store = naming.online_store(deployed.output("Project"), deployed.output("Environment"))
    pages = deployed.client("dynamodb").get_paginator("list_tables").paginate()
    beginning = naming.online_table(store, "")
    return {name for page in pages for name in page["TableNames"] if name.startswith(beginning)}


def notes(deployed: Stack, before: set[str] | frozenset[str] = frozenset()) -> Iterator[str]:
    """Say what became of the tables of views that are not in features.py any more.

    Args:
        deployed: the pipeline's stack as it is now.
        before: the tables that there were when it was deployed anew.
    """
    there = tables(deployed)
    for table in sorted(there - _owned(deployed)):
        yield (
            f"  note: no view {_view(table)} is in features.py, and its table {table} is there still. When nothing"
            " reads it any more (an endpoint's model may, until the next training), drop it:\n"
            f"    aws dynamodb delete-table --table-name {table}"
        )
    for table in sorted(before - there):
        yield (
            f"  note: the view {_view(table)} has left features.py, and its table {table} went with it, as all data"
            " does here and in dev; in prod it stays. An endpoint whose model reads it answers 503 until the next"
            " training"
        )


def _owned(deployed: Stack) -> set[str]:
    """Name the tables that the data stack has."""
    name = naming.data_stack(deployed.output("Project"), deployed.output("Environment"))
    pages = deployed.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
    return {
        each["PhysicalResourceId"]
        for page in pages
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::DynamoDB::Table" and not each["ResourceStatus"].startswith("DELETE")
    }


def _view(table: str) -> str:
    return repr(table.partition(".")[2])
