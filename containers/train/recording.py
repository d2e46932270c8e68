"""What a training job was given and ran on, as it is kept in the model's archive."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import joblib
from threadpoolctl import threadpool_info

from containers.paths import MlPaths
from sluice.features.source import PLAN
from sluice.payloads.documents import SplitSummary
from sluice.payloads.training_record import FILE_NAME, TrainingRecord
from sluice.project import Project

# What decides how many threads a library starts, and how they sum: https://github.com/joblib/threadpoolctl
_THREAD_SETTINGS = (
    "GOMP_SPINCOUNT",
    "LOKY_MAX_CPU_COUNT",
    "MKL_NUM_THREADS",
    "OMP_DYNAMIC",
    "OMP_NUM_THREADS",
    "OPENBLAS_CORETYPE",
    "OPENBLAS_NUM_THREADS",
)
_CPU_INFO = Path("/proc/cpuinfo")


def record(
    paths: MlPaths,
    environment: Mapping[str, str],
    project: Path,
    hyperparameters: Mapping[str, Any],
    seed: int,
) -> None:
    """Write environment.json into the model folder.

    To be called when the model is fitted: only then every library that has threads is loaded.

    Args:
        paths: the job's folders.
        environment: the job's.
        project: the folder of the project's code.
        hyperparameters: as build_model was given them.
        seed: of the generators.

    Raises:
        ProjectError: project.toml cannot be read.
    """
    told = Project.load_file(project / "project.toml")
    plan = project / PLAN
    TrainingRecord(
        dataset_version=environment.get("DATASET_VERSION", ""),
        code_sha256=_one(paths.channel("code"), "*.zip"),
        plan_sha256=_sha256(plan) if plan.is_file() else None,
        train_sha256=_one(paths.channel("train"), "*.parquet"),
        hyperparameters=dict(hyperparameters),
        seed=seed,
        split=SplitSummary(salt=told.split.salt, held_out_share=told.split.held_out_share),
        entity_key=told.entity.key,
        python=platform.python_version(),
        libraries=_libraries(),
        machine=" ".join([platform.machine(), *platform.libc_ver()]).strip(),
        processor=_processor(),
        cores=joblib.cpu_count(),
        threads=_threads(),
        thread_settings={name: environment[name] for name in _THREAD_SETTINGS if name in environment},
        instance_type=_instance_type(paths),
    ).save(paths.model / FILE_NAME)


def _libraries() -> dict[str, str]:
    found = {
        each.metadata["Name"].lower().replace("_", "-"): each.version for each in metadata.distributions()
    }
    return dict(sorted(found.items()))


def _threads() -> dict[str, int]:
    """Give the threads of each pool: `openmp libgomp` and, by version and processor, `blas libscipy_openblas …`."""
    pools = {
        " ".join(
            str(each[name])
            for name in ("user_api", "prefix", "version", "architecture")
            if each.get(name) is not None
        ): int(each["num_threads"])
        for each in threadpool_info()
    }
    return dict(sorted(pools.items()))


def _processor() -> str:
    lines = _CPU_INFO.read_text().splitlines() if _CPU_INFO.exists() else []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")


def _instance_type(paths: MlPaths) -> str:
    file = paths.resources
    return str(json.loads(file.read_text()).get("current_instance_type", "")) if file.is_file() else ""


def _one(folder: Path, pattern: str) -> str:
    (file,) = folder.glob(pattern)
    return _sha256(file)


def _sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
