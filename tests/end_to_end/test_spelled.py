"""A file in which every number is spelled: drafted, trained on, and predicted from as it is."""

from __future__ import annotations

import csv
import json
import math
import random
from decimal import Decimal
from pathlib import Path

from cli import prediction
from cli.main import main
from cli.serving import Served
from tests.support.bank import Bank
from tests.support.spelled import spelled

CODES = ["9007199254740993", "9007199254740995", "9007199254740997", ""]


def test_the_file_is_learned_from_and_answered_as_its_plain_numbers_are(bank: Bank, tmp_path: Path) -> None:
    draw = random.Random(7)
    plain: list[dict[str, object]] = []
    for _ in range(400):
        price, share = Decimal(draw.randrange(-900_000, 5_000_000)).scaleb(-2), draw.randrange(0, 100)
        code = draw.choice(CODES)
        chance = 1 / (1 + math.exp(-float(price) / 9_000 + share / 20 - (code == CODES[0])))
        label = "yes" if draw.random() < chance else "no"
        plain.append({"price": price, "share": share, "store_code": code, "y": label})
    file = tmp_path / "in.csv"
    with file.open("w", newline="", encoding="utf-8") as sink:
        writer = csv.writer(sink, delimiter=";")
        writer.writerow(plain[0])
        for row in plain:
            written = spelled(
                Decimal(str(row["price"])), decimal=",", grouping=".", after=" €", negative="({})"
            )
            writer.writerow([written, f"{row['share']}%", row["store_code"], row["y"]])

    project = tmp_path / "spelled"
    assert main(["init", str(project), "--from", str(file), "--target", "y"]) == 0
    deployed = bank.beside(project, tmp_path)
    summary = deployed.train(file)
    assert summary["outcome"] == "Deployed", summary
    assert summary["rejected_rows"] == 0

    # Of the file, and of the plain numbers: the same answers, to the last digit, codes told apart.
    served = Served.by(deployed.stack)
    records = [
        {
            "price": float(str(row["price"])),
            "share": row["share"],
            "store_code": int(str(row["store_code"])) if row["store_code"] else None,
        }
        for row in plain
    ]
    asked = prediction.Asked(served)
    answers = [answer.prediction for answer in prediction.predict_file(served, file)]
    assert answers == asked.predictions(records)
    one, neighbour = (
        asked.predictions([{"price": 1.5, "share": 40, "store_code": code}])
        for code in (9007199254740993, 9007199254740992)
    )
    assert one != neighbour

    # And as CSV in the file's own marks, to whoever asks the endpoint.
    runtime = deployed.stack.client("sagemaker-runtime")
    lines = [f'"{spelled(Decimal(str(row["price"])), decimal=",", grouping=".")}"' for row in plain[:50]]
    body = "\n".join(
        f"{price},{row['share']}%,{row['store_code']}" for price, row in zip(lines, plain, strict=False)
    )
    answer = runtime.invoke_endpoint(
        EndpointName=served.endpoint, ContentType="text/csv", Accept="application/json", Body=body
    )
    assert json.loads(answer["Body"].read())["predictions"] == answers[:50]
