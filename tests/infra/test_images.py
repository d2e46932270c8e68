from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra import requirements
from infra.build import ROOT
from infra.images import ImageError, assemble_context, context_files
from tests.infra.conftest import Synthesized, flat, synthesize, with_image, write_project

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/models/mine:3"


@pytest.mark.parametrize("name", requirements.CONTAINERS)
def test_a_context_holds_the_domain_and_one_container(name: str) -> None:
    found = {path.relative_to(ROOT).as_posix() for path in context_files(name)}
    assert {"sluice/errors.py", "containers/__init__.py", f"containers/{name}/Dockerfile"} <= found
    others = tuple(f"containers/{other}/" for other in requirements.CONTAINERS if other != name)
    assert not [path for path in found if path.startswith(others)]
    assert {path.split("/")[0] for path in found} == {"sluice", "containers"}
    assert not [path for path in found if path.endswith(".pyc")]


def test_an_assembled_context_is_laid_out_like_the_repository(tmp_path: Path) -> None:
    context = assemble_context("train", tmp_path)
    copied = {path.relative_to(context) for path in context.rglob("*") if path.is_file()}
    assert copied == {path.relative_to(ROOT) for path in context_files("train")}
    assert assemble_context("train", tmp_path) == context


@pytest.mark.parametrize("name", requirements.CONTAINERS)
def test_requirements_are_those_of_the_lock(name: str) -> None:
    written = (ROOT / "containers" / name / "requirements.txt").read_text()
    assert written == requirements.text(), "run `.venv-infra/bin/python -m infra.requirements`"


@pytest.mark.parametrize("name", requirements.CONTAINERS)
def test_a_dockerfile_can_be_run_by_sagemaker(name: str) -> None:
    text = (ROOT / "containers" / name / "Dockerfile").read_text()
    assert f'ENTRYPOINT ["python", "-m", "containers.{name}"]' in text
    assert re.search(r"^FROM python:3\.13\.\d+-slim-\w+$", text, re.MULTILINE)


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
    synthesize(tmp_path / "out", project=str(folder), environment="local").stack.node.root.synth()
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


def synthesize_with(image: str, tmp_path: Path) -> Synthesized:
    folder = tmp_path / "bank"
    write_project(folder, with_image(image))
    return synthesize(tmp_path / "out", project=str(folder), environment="local")


def test_an_image_of_the_users_own_trains_and_serves(tmp_path: Path) -> None:
    stack = synthesize_with(ECR, tmp_path)
    assert stack.properties("Pipeline/Training")["DefinitionSubstitutions"]["TrainImageUri"] == ECR
    assert stack.properties("Pipeline/Deployment")["DefinitionSubstitutions"]["ServeImageUri"] == ECR
    assert stack.properties("Pipeline/Training")["DefinitionSubstitutions"]["ServeImageUri"] == ECR
    assert stack.properties("Pipeline/Training")["DefinitionSubstitutions"]["HasOwnImage"] == "true"
    pulls = [
        flat(each["Resource"])
        for each in stack.statements("SageMakerRole")
        if "ecr:BatchGetImage" in each["Action"]
    ]
    assert "repository/models/mine" in "".join(pulls)


def test_a_project_with_training_code_has_none(prod: Synthesized) -> None:
    assert prod.properties("Pipeline/Training")["DefinitionSubstitutions"]["HasOwnImage"] == "false"


def test_a_folder_with_a_dockerfile_is_built(tmp_path: Path) -> None:
    (tmp_path / "bank" / "image").mkdir(parents=True)
    (tmp_path / "bank" / "image" / "Dockerfile").write_text('FROM scratch\nENTRYPOINT ["/train"]\n')
    stack = synthesize_with("image", tmp_path)
    train = stack.properties("Pipeline/Training")["DefinitionSubstitutions"]["TrainImageUri"]
    assert train == stack.properties("Pipeline/Deployment")["DefinitionSubstitutions"]["ServeImageUri"]
    assert "container-assets" in flat(train)


def test_any_other_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="neither an image in ECR nor a folder with a Dockerfile"):
        synthesize_with("docker.io/somebody/model:1", tmp_path)
