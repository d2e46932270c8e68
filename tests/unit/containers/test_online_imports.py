"""What predictions by id add to a worker's imports: what hashes a key, and of ours; nothing that takes its time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from containers.compiled import store
from containers.compiled.compile import compile_model
from sluice.features.plan import FeaturePlan, Key, Value, View
from tests.support import oracle

ROOT = Path(__file__).resolve().parents[3]
PLAN = FeaturePlan(
    timestamp="at",
    views=(
        View(
            name="all",
            keys=(Key(name="customer_id", type="string"),),
            features=tuple(
                Value(name=feature.name, type=feature.type) for feature in oracle.CONTRACT.features[:5]
            ),
        ),
    ),
    request=(Value(name="region", type="string"),),
    model=(*(f"all:{name}" for name in oracle.NAMES[:5]), "region"),
)
# All that a worker imports without a plan, and then what it takes to predict by id, as server.py has both.
LOAD = """
import json, os, sys
from pathlib import Path
import uvicorn, uvloop
from containers.serve import server, app, limits, protocol
from containers.serve.metrics import Totals
from containers.serve.scorer import load_scorer
from containers.serve.settings import Settings
settings, counters = Settings.of(os.environ), Totals(1).counters(0)
scorer = load_scorer(settings.model)
protocol.Protocol, uvicorn.Config(app.Application(scorer, settings, counters), http=protocol.Protocol).load()
before = set(sys.modules)
assert server._by_id(settings, scorer, counters) is not None
print(json.dumps([sorted(before), sorted(set(sys.modules) - before)]))
"""


def test_the_feature_path_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    store.save(compile_model(oracle.pipeline(), oracle.CONTRACT), tmp_path / "model")
    oracle.CONTRACT.save(tmp_path / "model" / "contract.json")
    (tmp_path / "model" / "features.json").write_text(PLAN.model_dump_json())
    environment = {
        "SAGEMAKER_BASE_DIR": str(tmp_path),
        "SLUICE_ONLINE_STORE": "shop",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
    }
    found = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=ROOT, env=environment, check=True, capture_output=True, text=True
    )
    before, added = map(set, json.loads(found.stdout.splitlines()[-1]))
    roots = {name.partition(".")[0] for name in added} - sys.stdlib_module_names
    assert roots <= {"containers", "sluice", "mmh3"}
    heavy = {"pandas", "pyarrow", "scipy", "sklearn", "boto3", "botocore", "aiohttp", "feast", "duckdb"}
    assert heavy.isdisjoint(name.partition(".")[0] for name in before | added)
