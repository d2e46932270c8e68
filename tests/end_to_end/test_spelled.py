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

    # Of the file, and of the plain numbers as JSON: the same answers, to the last digit, codes told apart.
    served = list(prediction.predict_file(deployed.stack, file))
    records = [
        {
            "price": float(str(row["price"])),
            "share": row["share"],
            "store_code": int(str(row["store_code"])) if row["store_code"] else None,
        }
        for row in plain
    ]
    assert served == prediction.invoke(deployed.stack, json.dumps(records).encode(), "application/json")
    one, neighbour = (
        prediction.invoke(
            deployed.stack,
            json.dumps({"price": 1.5, "share": 40, "store_code": code}).encode(),
            "application/json",
        )
        for code in (9007199254740993, 9007199254740992)
    )
    assert one != neighbour
