"""A flat table as a view: an online store like any, and no image with Feast to make training sets."""

from __future__ import annotations

from pathlib import Path

from tests.infra.synthesized import Stacks, synthesize, write_shop

FLAT_FEATURES = """\
from feast import Entity, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

customer = Entity(name="customer", join_keys=["customer_id"], value_type=ValueType.STRING)
table = FileSource(name="table", path="dataset.parquet")
customers = FeatureView(
    name="customers", entities=[customer], source=table, schema=[Field(name="amount", dtype=Float64)]
)
"""


def test_feast_joins_where_there_is_something_to_join(shop: Stacks, tmp_path: Path) -> None:
    images = shop.pipeline.settings("Training")["images"]
    assert images["training_set"] != images["process"]

    write_shop(tmp_path / "shop", FLAT_FEATURES, settings="\n[capture]\npercent = 20\n")
    toml = tmp_path / "shop" / "project.toml"
    toml.write_text(toml.read_text().replace('timestamp = "at"\n', "").replace("spent_30d", "amount"))
    stacks = synthesize(tmp_path / "out", project=str(tmp_path / "shop"), environment="prod")
    images = stacks.pipeline.settings("Training")["images"]
    assert images["training_set"] == images["process"], "each row holds its entity's features already"
    # What writes the online store, and what reads it, is as for any project with features.
    assert set(stacks.pipeline.settings("Materialization")["functions"]) == set(
        shop.pipeline.settings("Materialization")["functions"]
    )
    assert stacks.data.properties("Viewcustomers")["TableName"] == "corner_shop_prod.customers"
