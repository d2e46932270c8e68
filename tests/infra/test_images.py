from __future__ import annotations

import json
import re
from pathlib import Path

import aws_cdk as cdk
import pytest

from infra import requirements
from infra.build import ROOT
from infra.images import ImageError, assemble_context, context_files
from tests.infra.synthesized import Stacks, plain, synthesize, with_image, write_project

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/models/mine:3"


@pytest.mark.parametrize("name", requirements.IMAGES)
def test_a_context_holds_the_domain_and_one_container(name: str) -> None:
    found = {path.relative_to(ROOT).as_posix() for path in context_files(name)}
    assert {"sluice/errors.py", "containers/__init__.py", f"containers/{name}/Dockerfile"} <= found
    others = tuple(f"containers/{other}/" for other in requirements.IMAGES if other != name)
    assert not [path for path in found if path.startswith(others)]
    assert {path.split("/")[0] for path in found} == {"sluice", "containers"}
    assert not [
        path
        for path in found
        if path.startswith(("sluice/costing/", "sluice/drafting/", "sluice/reporting/"))
    ]
    assert not [path for path in found if path.endswith(".pyc")]


def test_an_assembled_context_is_laid_out_like_the_repository(tmp_path: Path) -> None:
    context = assemble_context("train", tmp_path)
    copied = {path.relative_to(context) for path in context.rglob("*") if path.is_file()}
    assert copied == {path.relative_to(ROOT) for path in context_files("train")}
    assert assemble_context("train", tmp_path) == context


@pytest.mark.parametrize("name", requirements.IMAGES)
def test_requirements_are_those_of_the_lock(name: str) -> None:
    written = (ROOT / "containers" / name / "requirements.txt").read_text()
    assert written == requirements.text(name), "run `.venv-infra/bin/python -m infra.requirements`"


@pytest.mark.parametrize("name", requirements.IMAGES)
def test_a_dockerfile_can_be_run_by_sagemaker(name: str) -> None:
    text = (ROOT / "containers" / name / "Dockerfile").read_text()
    assert f'ENTRYPOINT ["python", "-m", "containers.{name}"]' in text
    bases = re.findall("^FROM (.*)$", text, re.MULTILINE)
    for base in bases:
        assert re.fullmatch(r"python:3\.13\.\d+-slim-\w+@sha256:[0-9a-f]{64}( AS native)?", base)
    assert "--require-hashes" in text


def test_all_images_stand_on_one_base_and_share_their_first_layers() -> None:
    texts = [(ROOT / "containers" / name / "Dockerfile").read_text() for name in requirements.IMAGES]
    assert len(set(re.findall(r"@sha256:([0-9a-f]{64})", "".join(texts)))) == 1
    beginnings = {
        text[text.rindex("FROM ") : text.rindex("\n# Before our code")].removesuffix("\n") for text in texts
    }
    assert len(beginnings) == 1


@pytest.mark.parametrize(
    ("name", "has", "lacks"),
    [
        (
            "features",
            {"feast", "duckdb", "pandas", "boto3"},
            {"scikit-learn", "moto", "aws-cdk-lib", "pytest"},
        ),
        ("process", {"pandas", "scikit-learn", "pyarrow"}, {"uvicorn", "boto3", "jinja2", "aws-cdk-lib"}),
        # MLflow's client, and AWS's plugin for it; it brings uvicorn along.
        (
            "train",
            {"pandas", "scikit-learn", "pyarrow", "mlflow-skinny", "sagemaker-mlflow"},
            {"mlflow", "jinja2", "lightgbm"},
        ),
        (
            "serve",
            {"pandas", "scikit-learn", "uvicorn", "uvloop", "httptools", "orjson"},
            {"boto3", "jinja2", "mlflow-skinny"},
        ),
    ],
)
def test_an_image_holds_what_it_needs_and_every_file_by_its_hash(
    name: str, has: set[str], lacks: set[str]
) -> None:
    text = (ROOT / "containers" / name / "requirements.txt").read_text()
    packages = set(re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE))
    assert has <= packages
    assert not lacks & packages
    for block in re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block


def test_what_unpickles_a_model_has_the_versions_that_pickled_it() -> None:
    versions = [
        dict(re.findall(r"^(numpy|pandas|scikit-learn|joblib)==(\S+)", requirements.text(name), re.MULTILINE))
        for name in ("process", "train", "serve")
    ]
    assert versions[0] == versions[1] == versions[2]
    assert len(versions[0]) == 4


def test_the_project_code_is_without_its_data(tmp_path: Path) -> None:
    folder = tmp_path / "bank"
    write_project(folder)
    (folder / "features.py").write_text("# a hook\n")
    (folder / "package").mkdir()
    (folder / "package" / "module.py").write_text("")
    for name in ("rows.csv", "rows.parquet", "notes.ipynb", "package/more.csv"):
        (folder / name).write_text("")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "train.cpython-311.pyc").write_text("")
    stacks = synthesize(tmp_path / "out", project=str(folder), environment="local")
    stage = cdk.Stage.of(stacks.pipeline.stack)
    assert stage is not None
    stage.synth()
    (code,) = (
        path.parent
        for path in (tmp_path / "out").glob("asset.*/train.py")
        if not (path.parent / "containers").exists()
    )
    assert {path.relative_to(code).as_posix() for path in code.rglob("*") if path.is_file()} == {
        "project.toml",
        "train.py",
        "features.py",
        "package/module.py",
    }


def synthesize_with(image: str, tmp_path: Path) -> Stacks:
    folder = tmp_path / "bank"
    write_project(folder, with_image(image))
    return synthesize(tmp_path / "out", project=str(folder), environment="local")


def test_an_image_of_the_users_own_trains_and_serves(tmp_path: Path) -> None:
    stacks = synthesize_with(ECR, tmp_path)
    for machine in ("Training", "Deployment"):
        settings = stacks.pipeline.settings(machine)
        assert settings["images"]["train"] == settings["images"]["serve"] == ECR
        assert settings["own_image"] is True
    pulls = [
        plain(resource)
        for each in stacks.pipeline.statements("SageMakerRole")
        if "ecr:BatchGetImage" in each["Action"]
        for resource in each["Resource"]
    ]
    assert "repository/models/mine" in "".join(pulls)


def test_a_project_with_training_code_has_none(prod: Stacks) -> None:
    assert prod.pipeline.settings("Training")["own_image"] is False


def test_a_folder_with_a_dockerfile_is_built(tmp_path: Path) -> None:
    (tmp_path / "bank" / "image").mkdir(parents=True)
    (tmp_path / "bank" / "image" / "Dockerfile").write_text('FROM scratch\nENTRYPOINT ["/train"]\n')
    images = synthesize_with("image", tmp_path).pipeline.settings("Training")["images"]
    assert images["train"] == images["serve"]
    assert "container-assets" in images["train"]


def test_any_other_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="neither an image in ECR nor a folder with a Dockerfile"):
        synthesize_with("docker.io/somebody/model:1", tmp_path)


def outputs(project_folder: Path, outdir: Path) -> list[object]:
    """What each image's `docker build` is told of its output."""
    stacks = synthesize(outdir, project=str(project_folder), environment="local")
    stage = cdk.Stage.of(stacks.pipeline.stack)
    assert stage is not None
    stage.synth()
    assets = json.loads((outdir / "sluice-bank-local.assets.json").read_text())["dockerImages"]
    return [each["source"].get("dockerOutputs") for each in assets.values()]


@pytest.mark.parametrize("builder", [None, "docker", "/usr/local/bin/docker", "finch"])
def test_images_are_built_with_the_manifests_that_hosting_takes(
    project_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, builder: str | None
) -> None:
    monkeypatch.delenv("CDK_DOCKER", raising=False)
    if builder:
        monkeypatch.setenv("CDK_DOCKER", builder)
    assert outputs(project_folder, tmp_path) == [["type=docker,oci-mediatypes=false"]] * 3


def test_podman_is_told_by_its_own_variable_for_it_knows_no_such_output(
    project_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CDK_DOCKER", "/usr/bin/podman")
    monkeypatch.delenv("BUILDAH_FORMAT", raising=False)
    with pytest.raises(ImageError, match="export BUILDAH_FORMAT=docker"):
        outputs(project_folder, tmp_path / "without")
    monkeypatch.setenv("BUILDAH_FORMAT", "docker")
    assert outputs(project_folder, tmp_path / "with") == [None] * 3
