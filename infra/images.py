"""The container images, as assets, and the project's code, as a zip that every job gets as a channel."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from aws_cdk import Aws
from aws_cdk import aws_ecr as ecr
from aws_cdk import aws_ecr_assets as ecr_assets
from aws_cdk import aws_s3_assets as s3_assets
from constructs import Construct

from infra.build import ROOT, whole_folder
from sluice.errors import SluiceError
from sluice.features.plan import FeaturePlan
from sluice.features.source import PLAN

# What may lie beside a project's hooks and is no code: data, notebooks' and editors' leavings.
_NOT_CODE = (
    "*.csv",
    "*.tsv",
    "*.parquet",
    "*.jsonl",
    "*.gz",
    "*.zip",
    "*.ipynb",
    "*.pyc",
    "__pycache__",
    ".*",
    "data",
)
# Those that compile a model's plan, or follow it: see containers/compiled.
_WITH_COMPILER = ("train", "serve")
# Those that make a training set.
_WITH_EXAMPLES = ("process", "features")
# What no container imports, which import-linter holds: a new word on the page is no new image, and no new model.
_IN_NO_IMAGE = tuple(ROOT / "sluice" / name for name in ("costing", "drafting", "reporting", "reproducing"))
_ECR_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?:\.cn)?/"
    r"(?P<repository>[a-z0-9._/-]+)(?::[\w.-]+|@sha256:[0-9a-f]{64})?"
)


class ImageError(SluiceError):
    """An image is nothing SageMaker could run."""


class Images(Construct):
    """`process`, `train` and `serve` as URIs, and the repositories they are pulled from.

    Attributes:
        training_set_uri: what makes training sets: `features`, the image with Feast, where there is something to
            join; else `process`, which starts seconds earlier.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        project_folder: Path,
        plan: FeaturePlan | None,
        model_image: str | None,
        require_native: bool,
    ) -> None:
        super().__init__(scope, construct_id)
        self._build_args = {} if require_native else {"NATIVE": ""}
        self.repositories: list[ecr.IRepository] = []
        self.process_uri = self._own("Process")
        self.training_set_uri = (
            self._own("Features") if plan and not plan.rows_are_examples else self.process_uri
        )
        if model_image is None:
            self.train_uri = self._own("Train")
            self.serve_uri = self._own("Serve")
        else:
            # One image for both, as SageMaker has it: it is run with `train` and with `serve`.
            self.train_uri = self.serve_uri = self._users(project_folder, model_image)
        self.project_code = s3_assets.Asset(
            self,
            "ProjectCode",
            path=str(project_folder if plan is None else assemble_code(project_folder, plan)),
            exclude=list(_NOT_CODE),
            display_name="project code",
        )

    def _own(self, name: str) -> str:
        folder = name.lower()
        context = assemble_context(folder)
        build_args = self._build_args if folder in _WITH_COMPILER else {}
        return self._asset(name, context, file=f"containers/{folder}/Dockerfile", build_args=build_args)

    def _users(self, project_folder: Path, image: str) -> str:
        ecr_image = _ECR_IMAGE.fullmatch(image)
        if ecr_image:
            account, region, name = ecr_image["account"], ecr_image["region"], ecr_image["repository"]
            repository = ecr.Repository.from_repository_attributes(
                self,
                "Model",
                repository_arn=f"arn:{Aws.PARTITION}:ecr:{region}:{account}:repository/{name}",
                repository_name=name,
            )
            self.repositories.append(repository)
            return image
        folder = (project_folder / image).resolve()
        if (folder / "Dockerfile").is_file():
            return self._asset("Model", folder, file="Dockerfile")
        raise ImageError(
            f"[model] image = {image!r} is neither an image in ECR nor a folder with a Dockerfile",
            where=str(project_folder / "project.toml"),
            why=f"there is no {folder / 'Dockerfile'}, and SageMaker pulls images from ECR only",
            fix="give <account>.dkr.ecr.<region>.amazonaws.com/<repository>:<tag>, or the project's folder",
        )

    def _asset(self, name: str, folder: Path, *, file: str, build_args: dict[str, str] | None = None) -> str:
        asset = ecr_assets.DockerImageAsset(
            self,
            name,
            directory=str(folder),
            file=file,
            build_args=build_args or None,
            # What SageMaker's instances are, whatever machine builds.
            platform=ecr_assets.Platform.LINUX_AMD64,
            outputs=_outputs(os.environ),
            display_name=f"{name.lower()} image",
        )
        self.repositories.append(asset.repository)
        return asset.image_uri


def _outputs(environment: Mapping[str, str]) -> list[str] | None:
    """Ask the builder for a manifest of Docker's type: SageMaker's hosting refuses OCI's, the default of today.

    https://github.com/aws/amazon-sagemaker-feedback/issues/180. podman knows no such output, but a variable.

    Raises:
        ImageError: the builder is podman, and would make OCI manifests.
    """
    builder = Path(environment.get("CDK_DOCKER") or "docker").name
    if builder not in ("podman", "buildah"):
        return ["type=docker,oci-mediatypes=false"]
    if environment.get("BUILDAH_FORMAT") != "docker":
        raise ImageError(
            f"{builder} would make images that SageMaker's hosting refuses",
            where=f"CDK_DOCKER={environment['CDK_DOCKER']}",
            why="their manifests are of OCI's type, and hosting takes Docker's only",
            fix="export BUILDAH_FORMAT=docker",
        )
    return None


def assemble_context(name: str, build_dir: Path = ROOT / "build") -> Path:
    """Copy what the Dockerfile of `containers/<name>` may see into a folder laid out like the repository.

    The image's hash covers its build context: with the repository as context every change anywhere, a test or
    a line of the README, would be a new image and a new SageMaker model. The folder is named for its content,
    so that two synths at once do not write to the same place.
    """
    files = context_files(name)
    digest = hashlib.sha256()
    for source in files:
        digest.update(f"{source.relative_to(ROOT).as_posix()}\0{source.stat().st_size}\0".encode())
        digest.update(source.read_bytes())
    context = build_dir / "images" / f"{name}-{digest.hexdigest()[:16]}"
    if not context.is_dir():
        with whole_folder(context) as folder:
            for source in files:
                target = folder / source.relative_to(ROOT)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    return context


def assemble_code(project_folder: Path, plan: FeaturePlan, build_dir: Path = ROOT / "build") -> Path:
    """Copy a project's code into a folder that is named for its content, with the feature plan beside it."""
    ignored = shutil.ignore_patterns(*_NOT_CODE)
    text = plan.model_dump_json(indent=2) + "\n"
    with tempfile.TemporaryDirectory() as scratch:
        code = Path(scratch) / "code"
        shutil.copytree(project_folder, code, ignore=ignored)
        (code / PLAN).write_text(text)
        digest = hashlib.sha256()
        for file in sorted(path for path in code.rglob("*") if path.is_file()):
            digest.update(f"{file.relative_to(code).as_posix()}\0{file.stat().st_size}\0".encode())
            digest.update(file.read_bytes())
        target = build_dir / "code" / digest.hexdigest()[:16]
        if not target.is_dir():
            with whole_folder(target) as folder:
                shutil.copytree(code, folder, dirs_exist_ok=True)
    return target


def context_files(name: str) -> list[Path]:
    """List the files of the build context of `containers/<name>`, sorted."""
    container = ROOT / "containers"
    folders = [ROOT / "sluice", container / name]
    if name in _WITH_COMPILER:
        folders.append(container / "compiled")
    if name in _WITH_EXAMPLES:
        folders.append(container / "training_set")
    candidates = [*container.glob("*.py"), *(path for folder in folders for path in folder.rglob("*"))]
    return sorted(
        path
        for path in candidates
        # An extension built for this machine says nothing about the image's.
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.suffix != ".so"
        and not any(path.is_relative_to(folder) for folder in _IN_NO_IMAGE)
    )
