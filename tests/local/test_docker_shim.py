"""The Docker shim: what the CDK CLI asks of docker, and everything it must refuse by name."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.docker_shim import dockerfile, run, system_packages
from local.docker_shim.build import build
from local.docker_shim.errors import Refused
from local.docker_shim.interpreters import VARIABLE, known
from local.images import ImageNotFound, ImageNotRunnable, ImageStore, resolve
from tests.support.local_aws import ROOT

Shim = Callable[..., "subprocess.CompletedProcess[str]"]

DOCKERFILE = """\
# syntax=docker/dockerfile:1
ARG VERSION=3.12
FROM public.ecr.aws/docker/library/python:${VERSION}-slim AS base
ARG GREETING=hello
ENV PYTHONPATH=/opt/program:/elsewhere \\
    GREETING="$GREETING there"
WORKDIR /opt/program
COPY requirements.txt ./
RUN pip install --no-cache-dir -r requirements.txt
COPY entry.py app/__init__.py app/
LABEL team=churn
EXPOSE 8080
USER 1000
ENTRYPOINT ["python", "-m", "app.entry"]
"""
ENTRY = "import os, sys; print(os.environ['GREETING'], sys.argv[1:], __file__)"


def interpreter_with(file: Path, package: str, version: str) -> Path:
    """What tells of its packages as an interpreter does that is asked for them."""
    file.write_text(f"#!/bin/sh\necho '{json.dumps({package: version})}'\n")
    file.chmod(0o755)
    return file


@pytest.fixture
def context(tmp_path: Path) -> Path:
    folder = tmp_path / "context"
    (folder / "app").mkdir(parents=True)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    (folder / "requirements.txt").write_text("pytest>=1  # here\nnever-there; python_version < '3'\n")
    (folder / "entry.py").write_text(ENTRY)
    (folder / "app" / "__init__.py").write_text("")
    (folder / "bad.py").write_text("raise SystemExit('no such luck')\n")
    return folder


@pytest.fixture
def shim(local_aws: Any) -> Shim:
    """Runs the program that CDK_DOCKER names."""

    def run(*arguments: str, cwd: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
        env = {**os.environ, **local_aws.env}
        return subprocess.run(
            [env["CDK_DOCKER"], *arguments],
            env=env,
            cwd=cwd,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def built(tmp_path: Path, context: Path, dockerfile: str, **build_args: str) -> ImageStore:
    store = ImageStore(tmp_path / "state")
    (context / "Dockerfile").write_text(dockerfile)
    image_id = build(store, context, context / "Dockerfile", build_args, None)
    store.publish(image_id, "repository:tag")
    return store


class TestPublishing:
    def test_what_the_cdk_cli_does_with_an_asset(self, local_aws: Any, shim: Shim, context: Path) -> None:
        ecr = local_aws.client("ecr")
        uri = ecr.create_repository(repositoryName="assets")["repository"]["repositoryUri"] + ":abc"
        token = ecr.get_authorization_token()["authorizationData"][0]
        server = token["proxyEndpoint"].removeprefix("https://")
        login = shim("login", "--username", "AWS", "--password-stdin", server, stdin="token")
        assert login.returncode == 0
        assert shim("inspect", "cdkasset-abc").returncode == 1

        built = shim(
            "build",
            *("--build-arg", "GREETING=good evening", "--tag", "cdkasset-abc"),
            *("--file", "Dockerfile", "--platform", "linux/amd64", "."),
            cwd=context,
        )
        assert built.returncode == 0, built.stderr
        assert "not run; the packages it installs are present" in built.stderr
        assert "USER" in built.stderr
        assert shim("inspect", "cdkasset-abc").returncode == 0
        assert shim("tag", "cdkasset-abc", uri).returncode == 0
        listed = shim("images", "--format", "{{.Repository}}:{{.Tag}}", "--filter", "reference=*/*:abc")
        assert listed.stdout.split() == [uri]
        with pytest.raises(ImageNotFound, match=r"cannot pull images from anywhere.*deploy again"):
            resolve(local_aws.state_dir, uri)

        pushed = shim("push", uri)
        assert pushed.returncode == 0, pushed.stderr
        details = ecr.describe_images(repositoryName="assets")["imageDetails"]
        assert details[0]["imageTags"] == ["abc"]
        assert shim("push", uri).returncode == 0

        by_digest = uri.removesuffix(":abc") + "@" + details[0]["imageDigest"]
        for name in (uri, by_digest):
            image = resolve(local_aws.state_dir, name)
            ran = subprocess.run(
                [*image.argv, "train"],
                env={**os.environ, **image.env},
                cwd=image.cwd,
                capture_output=True,
                text=True,
                check=True,
            )
            assert ran.stdout.startswith("good evening there ['train'] ")
            assert str(local_aws.state_dir.resolve()) in ran.stdout

    @pytest.mark.parametrize(
        ("output", "media_type"),
        [
            ([], "application/vnd.oci.image.manifest.v1+json"),
            (["--output=type=docker"], "application/vnd.oci.image.manifest.v1+json"),
            (
                ["--output=type=docker,oci-mediatypes=false"],
                "application/vnd.docker.distribution.manifest.v2+json",
            ),
        ],
    )
    def test_hosting_takes_images_of_docker_s_manifest_type_alone(
        self, local_aws: Any, shim: Shim, context: Path, output: list[str], media_type: str
    ) -> None:
        ecr, sagemaker = local_aws.client("ecr"), local_aws.client("sagemaker")
        name = f"manifests-{len(output)}-{media_type.split('.')[2]}"
        uri = ecr.create_repository(repositoryName=name)["repository"]["repositoryUri"] + ":abc"
        assert shim("build", *output, "--tag", uri, ".", cwd=context).returncode == 0
        assert shim("push", uri).returncode == 0
        (pushed,) = ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "abc"}])["images"]
        assert json.loads(pushed["imageManifest"])["mediaType"] == media_type
        model: dict[str, Any] = {
            "ModelName": name,
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/sagemaker",
            "PrimaryContainer": {"Image": uri},
        }
        if "docker" in media_type:
            sagemaker.create_model(**model)
        else:
            with pytest.raises(ClientError, match=f"Unsupported manifest media type {re.escape(media_type)}"):
                sagemaker.create_model(**model)

    def test_push_to_a_repository_that_is_not_there(self, local_aws: Any, shim: Shim, context: Path) -> None:
        uri = "123456789012.dkr.ecr.us-east-1.amazonaws.com/nowhere:abc"
        shim("build", "--tag", uri, ".", cwd=context)
        pushed = shim("push", uri)
        assert pushed.returncode == 2
        assert "nowhere" in pushed.stderr

    @pytest.mark.parametrize(
        ("arguments", "named"),
        [
            (["run", "image"], "run"),
            (["build", "--secret", "id=x", "--tag", "t", "."], "--secret"),
            (["build", "--output=type=local,dest=x", "--tag", "t", "."], "type=local"),
            (["build", "--output=type=docker,oci-mediatypes=perhaps", "--tag", "t", "."], "perhaps"),
            (["build", "--output=type=docker,compression=zstd", "--tag", "t", "."], "zstd"),
            (["build", "--cache-from", "x", "--tag", "t", "."], "--cache-from"),
            (["buildx", "build"], "buildx"),
            (["tag", "absent", "b"], "absent"),
            (["push", "docker.io/absent:1"], "docker.io/absent:1"),
        ],
    )
    def test_other_commands_and_options_are_refused_by_name(
        self, shim: Shim, arguments: list[str], named: str
    ) -> None:
        refused = shim(*arguments)
        assert refused.returncode == 2
        assert named in refused.stderr

    def test_without_a_local_aws(self) -> None:
        env = {name: value for name, value in os.environ.items() if name != "SLUICE_LOCAL_STATE"}
        refused = subprocess.run(
            [sys.executable, "-m", "local.docker_shim", "inspect", "x"],
            env=env,
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        assert refused.returncode == 2
        assert "SLUICE_LOCAL_STATE" in refused.stderr


class TestBuild:
    def test_paths_of_the_image_lie_in_the_store(self, tmp_path: Path, context: Path) -> None:
        built(tmp_path, context, DOCKERFILE)
        image = resolve(tmp_path / "state", "repository:tag")
        assert image.argv == [sys.executable, "-m", "app.entry"]
        assert image.cwd.name == "program"
        assert (image.cwd / "app" / "entry.py").read_text() == ENTRY
        assert image.env["PYTHONPATH"] == f"{image.cwd}:/elsewhere"
        assert image.env["GREETING"] == "hello there"

    def test_same_content_is_the_same_image(self, tmp_path: Path, context: Path) -> None:
        store = ImageStore(tmp_path / "state")
        file = context / "Dockerfile"
        first = build(store, context, file, {}, "base")
        assert build(store, context, file, {}, None) == first
        (context / "entry.py").write_text("print(1)")
        assert build(store, context, file, {}, None) != first

    def test_directories_and_patterns(self, tmp_path: Path, context: Path) -> None:
        (context / "a.txt").write_text("a")
        (context / "b.txt").write_text("b")
        text = (
            'FROM x\nCOPY . /all\nCOPY ["*.txt", "/texts/"]\nCOPY a.txt /one.txt\nENTRYPOINT ["/one.txt"]\n'
        )
        built(tmp_path, context, text)
        image = resolve(tmp_path / "state", "repository:tag")
        root = image.cwd
        assert (root / "all" / "app" / "__init__.py").exists()
        assert sorted(path.name for path in (root / "texts").iterdir()) == [
            "a.txt",
            "b.txt",
            "requirements.txt",
        ]
        assert image.argv == [str(root / "one.txt")]

    @pytest.mark.parametrize(
        ("dockerfile", "named"),
        [
            ('FROM x AS a\nFROM a\nENTRYPOINT ["python"]', "goes on from another"),
            ('FROM x\nWORKDIR /w\nCOPY bad.py ./\nRUN python -m bad\nENTRYPOINT ["python"]', "no such luck"),
            ('FROM x\nADD a /a\nENTRYPOINT ["python"]', "line 2 (ADD)"),
            ('FROM x\nCOPY --from=y a /a\nENTRYPOINT ["python"]', "--from=y"),
            ('FROM x\nCOPY ../secret /a\nENTRYPOINT ["python"]', "../secret lies outside"),
            ('FROM x\nCOPY absent /a\nENTRYPOINT ["python"]', "absent matches nothing"),
            ('FROM x\nENV A=$UNKNOWN\nENTRYPOINT ["python"]', "$UNKNOWN"),
            ("FROM x\nENTRYPOINT python serve.py", "exec form"),
            ('FROM x\nCMD ["python"]', "no ENTRYPOINT"),
            ("ENV A=1\nFROM x", "before FROM"),
            ('FROM x\nRUN <<EOF\ntrue\nEOF\nENTRYPOINT ["python"]', "here-documents"),
            ("FROM x\nRUN pip install never-there==1 'pytest<1'\nENTRYPOINT [\"python\"]", "never-there==1"),
            ('FROM x\nRUN pip install -r gone.txt\nENTRYPOINT ["python"]', "gone.txt"),
        ],
    )
    def test_what_it_cannot_follow_is_named(
        self, tmp_path: Path, context: Path, dockerfile: str, named: str
    ) -> None:
        with pytest.raises(Refused) as refused:
            built(tmp_path, context, dockerfile)
        assert named in str(refused.value)

    def test_unmet_requirements_are_all_named(self, tmp_path: Path, context: Path) -> None:
        (context / "requirements.txt").write_text("-r more.txt\npytest==0.1 \\\n    --hash=sha256:00\n")
        (context / "more.txt").write_text("never-there>=2\n")
        text = 'FROM x\nCOPY *.txt ./\nRUN python -m pip install -r requirements.txt\nENTRYPOINT ["python"]'
        with pytest.raises(Refused, match=r"never-there>=2: not installed\n\s+pytest==0.1: .* is installed"):
            built(tmp_path, context, text)

    def test_an_image_runs_on_the_first_interpreter_that_has_its_packages(
        self, tmp_path: Path, context: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        other = interpreter_with(tmp_path / "other", "only-there", "1.5")
        monkeypatch.setenv(VARIABLE, str(other))
        start = "FROM x\nCOPY entry.py ./\n"
        end = '\nENTRYPOINT ["python", "entry.py"]'
        built(tmp_path, context, f"{start}RUN pip install 'Only_There>=1'{end}")
        assert resolve(tmp_path / "state", "repository:tag").argv[0] == str(other)
        built(tmp_path, context, f"{start}RUN pip install pytest{end}")
        assert resolve(tmp_path / "state", "repository:tag").argv[0] == sys.executable
        # What is asked for one after the other has to be in one environment.
        with pytest.raises(Refused, match=r"pytest: not installed"):
            built(tmp_path, context, f"{start}RUN pip install only-there\nRUN pip install pytest{end}")
        with pytest.raises(Refused, match=r"only-there>=2: not installed"):
            built(tmp_path, context, f"{start}RUN pip install 'only-there>=2'{end}")

    def test_an_interpreter_that_does_not_run_is_named(
        self, tmp_path: Path, context: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(VARIABLE, str(tmp_path / "gone"))
        with pytest.raises(Refused, match=f"{tmp_path / 'gone'}, which the local AWS was started with"):
            built(tmp_path, context, 'FROM x\nENTRYPOINT ["python"]')

    def test_run_that_installs_nothing_says_it_was_not_run(
        self, tmp_path: Path, context: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        text = 'FROM x\nRUN echo "a; b" "" > /etc/x && mkdir /y\nENTRYPOINT ["python"]'
        built(tmp_path, context, text)
        said = capsys.readouterr().err
        assert (
            "NOT RUN, its effect is missing from the local image: echo 'a; b' '' '>' /etc/x; mkdir /y" in said
        )

    def test_a_base_by_digest_has_a_stage_like_any_other(self, tmp_path: Path, context: Path) -> None:
        base = "public.ecr.aws/docker/library/python:3.13.9-slim-bookworm@sha256:" + "0123456789abcdef" * 4
        text = (
            f"FROM {base} AS native\nWORKDIR /made\nCOPY entry.py ./\n"
            f"FROM {base}\nCOPY --from=native /made/entry.py /final/\n"
            'ENTRYPOINT ["python", "/final/entry.py"]'
        )
        store = built(tmp_path, context, text)
        image = resolve(tmp_path / "state", "repository:tag")
        assert Path(image.argv[1]).read_text() == ENTRY
        image_id = store.pushed("repository:tag")
        assert image_id is not None
        assert store.manifest(image_id).base == base

    def test_a_later_stage_takes_files_of_an_earlier_one(self, tmp_path: Path, context: Path) -> None:
        (context / "make.py").write_text(
            "import pathlib, sys; pathlib.Path('made').write_text(sys.argv[1])\n"
        )
        text = (
            "FROM compiler AS first\nARG WORD=hello\nENV A=1\nWORKDIR /made\nCOPY make.py ./\n"
            "RUN python -m make ${WORD}\n"
            "FROM slim\nWORKDIR /final\nCOPY --from=first /made/made ./\nCOPY --from=0 /made/make.py ./\n"
            'ENTRYPOINT ["python", "-m", "make"]'
        )
        built(tmp_path, context, text)
        image = resolve(tmp_path / "state", "repository:tag")
        assert (image.cwd / "made").read_text() == "hello"
        assert {path.name for path in image.cwd.iterdir()} == {"made", "make.py"}
        assert image.env == {}, "the first stage's environment is not the image's"

    def test_entrypoint_that_is_nowhere(self, tmp_path: Path, context: Path) -> None:
        built(tmp_path, context, 'FROM x\nENTRYPOINT ["no-such-program"]')
        with pytest.raises(ImageNotRunnable, match="no-such-program"):
            resolve(tmp_path / "state", "repository:tag")


APT = """\
FROM x
RUN apt-get update \\
    && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends {packages} \\
    && rm -rf /var/lib/apt/lists/*
ENTRYPOINT ["python"]
"""


class TestSystemPackages:
    def test_what_is_here_is_present(
        self,
        tmp_path: Path,
        context: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(system_packages, "_library", lambda name: name == "libgomp.so.1")
        built(tmp_path, context, APT.format(packages="libgomp1"))
        said = capsys.readouterr().err
        assert "not run; the packages it installs are present" in said
        assert "NOT RUN" not in said

    @pytest.mark.skipif(not sys.platform.startswith("linux"), reason="libgomp.so.1 is Linux's name")
    def test_a_library_that_is_not_here_is_refused_with_what_to_do(
        self, tmp_path: Path, context: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(system_packages, "_library", lambda name: False)
        with pytest.raises(Refused) as refused:
            built(tmp_path, context, APT.format(packages="libgomp1=12.2.0-14"))
        text = str(refused.value)
        assert text.startswith("Dockerfile line 2 (RUN) would install what this machine does not have:\n")
        assert "libgomp1: this machine has not GNU OpenMP, the library libgomp.so.1" in text
        assert "apt-get install libgomp1" in text

    def test_a_library_is_asked_of_the_system(self) -> None:
        assert not system_packages._library("libno-such-thing.so.1")
        if sys.platform.startswith("linux"):
            assert system_packages._library("libc.so.6")

    def test_without_a_compiler_the_image_is_built_and_says_so(
        self,
        tmp_path: Path,
        context: Path,
        capsys: pytest.CaptureFixture[str],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(shutil, "which", lambda name: None)
        built(tmp_path, context, APT.format(packages="gcc libc6-dev"))
        said = capsys.readouterr().err
        assert "this machine has not a C compiler (cc, gcc, clang)" in said
        assert "this machine has not the headers of the C library" in said
        assert "apt-get install libc6-dev" in said

    @pytest.mark.parametrize(
        ("command", "named"),
        [
            ("apt-get install -y libgomp1 libpq5", "installs libpq5"),
            ("apt-get install -y --allow-downgrades libgomp1", "option --allow-downgrades"),
            ("apt-get dist-upgrade -y", "apt-get dist-upgrade"),
            ("apt-get update && apt install libxml2", "installs libxml2"),
            ("echo 'never closed", "cannot be read as a shell command"),
        ],
    )
    def test_what_it_does_not_know_is_refused_by_name(
        self, tmp_path: Path, context: Path, command: str, named: str
    ) -> None:
        with pytest.raises(Refused) as refused:
            built(tmp_path, context, f'FROM x\nRUN {command}\nENTRYPOINT ["python"]')
        assert named in str(refused.value)


class TestHashes:
    INSTALL = (
        "FROM x\nCOPY *.txt ./\n"
        "RUN pip install --no-cache-dir --only-binary=:all: --require-hashes --requirement requirements.txt\n"
        'ENTRYPOINT ["python"]'
    )

    def requirements(self, *, hashes: int = 2, also: str = "") -> str:
        version = importlib.metadata.version("pytest")
        lines = [f"pytest=={version} ; python_full_version >= '3.11'"]
        lines += [f"    --hash=sha256:{number:064x}" for number in range(hashes)]
        return "# written from a lock\n" + " \\\n".join(lines) + f"\n    # via nothing\n{also}"

    def test_hashes_on_lines_of_their_own_are_read(
        self, tmp_path: Path, context: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (context / "requirements.txt").write_text(self.requirements())
        built(tmp_path, context, self.INSTALL)
        assert "not run; the packages it installs are present" in capsys.readouterr().err

    def test_a_requirement_without_one_is_refused(self, tmp_path: Path, context: Path) -> None:
        (context / "requirements.txt").write_text(self.requirements(hashes=0))
        with pytest.raises(Refused, match=r"pytest.*: has no hash, and pip requires hashes here"):
            built(tmp_path, context, self.INSTALL)

    @pytest.mark.parametrize(
        "pip", ["pip3", "/opt/venv/bin/pip", "python -m pip", "uv pip", "PIP_RETRIES=1 pip"]
    )
    def test_pip_has_many_names(self, tmp_path: Path, context: Path, pip: str) -> None:
        text = f"FROM x\nRUN true '' && {pip} install never-there==1\nENTRYPOINT [\"python\"]"
        with pytest.raises(Refused, match="never-there==1: not installed"):
            built(tmp_path, context, text)

    def test_one_hash_asks_for_all(self, tmp_path: Path, context: Path) -> None:
        (context / "requirements.txt").write_text(self.requirements(also="moto>=5\n"))
        with pytest.raises(Refused, match=r"moto>=5: has no hash"):
            built(tmp_path, context, self.INSTALL.replace("--require-hashes ", ""))

    def test_what_a_hashed_requirement_pins_has_to_be_here(self, tmp_path: Path, context: Path) -> None:
        (context / "requirements.txt").write_text(f"pytest==0.1 \\\n    --hash=sha256:{0:064x}\n")
        with pytest.raises(Refused, match=r"pytest==0.1: .* is installed"):
            built(tmp_path, context, self.INSTALL)


@pytest.mark.parametrize("image", ["process", "serve", "train"])
def test_every_line_of_our_own_images_is_understood(image: str, tmp_path: Path) -> None:
    """Nothing is run here: what the shim says of each RUN, with the packages of this environment."""
    file = ROOT / "containers" / image / "Dockerfile"
    (tmp_path / "requirements.txt").write_text("")
    lines = [
        each
        for each in dockerfile.read(file.read_text())
        if each.name == "RUN" and "containers.compiled.build" not in each.text
    ]
    assert lines
    assert [run.check(each.text, tmp_path, each.where, known()).missing for each in lines] == [[]] * len(
        lines
    )
