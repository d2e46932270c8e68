"""sluice reproduce: the same jobs again beside the recorded ones; what differs and what is gone is said by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from cli import main, stack
from sluice import keys
from sluice.errors import TrainingSetFailed, to_wire
from tests.support.builds import RECORD
from tests.support.trainings import EXECUTION, MODEL, PART, VERSION, TrainedStack

Run = Callable[..., tuple[int, Any, str]]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> TrainedStack:
    made = TrainedStack.of()
    monkeypatch.setattr(stack, "current", lambda _name: made)
    return made


@pytest.fixture
def reproduce(trained: TrainedStack, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, Any, str]:
        status = main.main(["reproduce", *arguments])
        said = capsys.readouterr()
        return status, json.loads(said.out) if "--json" in arguments and said.out else said.out, said.err

    return run


def differing(told: dict[str, Any]) -> dict[str, list[tuple[str, str | None, str | None]]]:
    return {
        each["name"]: [(one["what"], one["recorded"], one["again"]) for one in each["differences"]]
        for each in told["findings"]
        if each["state"] == "differs"
    }


def test_the_same_is_identical(reproduce: Run) -> None:
    status, told, said = reproduce(MODEL, "--json")
    assert status == 0, said
    assert told["identical"] is True
    assert differing(told) == {}
    assert told["jobs"] == {job: f"{MODEL}-r1-{job}" for job in ("build", "train", "evaluate")}
    status, text, _ = reproduce("0123")
    assert status == 0
    assert text.rstrip().endswith("identical")


def test_the_jobs_are_the_recorded_ones_but_for_names_and_places(
    trained: TrainedStack, reproduce: Run
) -> None:
    before = dict(trained.objects)
    reproduce(MODEL, "--json")
    build, train, evaluate = trained.sagemaker.created
    recorded = trained.sagemaker.jobs[f"{MODEL}-train"]
    for name in (
        "RoleArn",
        "AlgorithmSpecification",
        "HyperParameters",
        "ResourceConfig",
        "StoppingCondition",
    ):
        assert train[name] == recorded[name]
    # What its code would log is no part of the run it was trained in.
    assert train["Environment"] == {"DATASET_VERSION": VERSION}
    assert build["Environment"] == {"DATASET_VERSION": VERSION}
    inputs = {each["InputName"]: each["S3Input"]["S3Uri"] for each in evaluate["ProcessingInputs"]}
    assert inputs["champion"] == f"s3://artifacts/{keys.model(MODEL)}"
    assert inputs["challenger"] == f"s3://artifacts/{keys.model(f'{MODEL}-r1')}"
    assert {tag["Key"] for tag in train["Tags"]} == {
        "sluice:project",
        "sluice:environment",
        "sluice:reproduces",
    }
    assert {key: trained.objects[key] for key in before} == before
    # Within what the SageMaker role may write: infra/pipeline_stack.py.
    assert {key for key in trained.objects if key not in before} == {
        f"training-sets/{EXECUTION}/reproduced-1/train/train.parquet",
        f"training-sets/{EXECUTION}/reproduced-1/held_out/held_out.parquet",
        f"models/{MODEL}-r1-train/output/model.tar.gz",
        f"reports/{EXECUTION}/reproduced-1/evaluation/evaluation.json",
    }


def test_asked_twice_it_only_compares_and_with_again_it_trains(trained: TrainedStack, reproduce: Run) -> None:
    reproduce(MODEL)
    asked = len(trained.sagemaker.created)
    status, told, _ = reproduce(MODEL, "--json")
    assert (status, len(trained.sagemaker.created)) == (0, asked)
    status, told, _ = reproduce(MODEL, "--json", "--again")
    assert told["jobs"]["train"] == f"{MODEL}-r2-train"
    assert len(trained.sagemaker.created) == 2 * asked


def test_whoever_interrupts_it_goes_on_with_the_same_jobs(
    trained: TrainedStack, reproduce: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    trained.sagemaker.keeps_running = "-r1-build"
    monkeypatch.setattr("time.sleep", interrupt)
    status, _, _ = reproduce(MODEL)
    assert status == 130
    trained.sagemaker.keeps_running = None
    job = trained.sagemaker.jobs.pop(f"{MODEL}-r1-build")
    created = [{key: value for key, value in job.items() if key != "ProcessingJobStatus"}]
    trained.sagemaker.create_processing_job(**created[0])
    status, told, said = reproduce(MODEL, "--json")
    assert status == 0, said
    assert told["jobs"]["build"] == f"{MODEL}-r1-build"


@pytest.mark.parametrize(
    ("change", "name", "difference"),
    [
        (
            {"libraries": {**RECORD.libraries, "numpy": "9.9"}},
            "libraries",
            ("numpy", RECORD.libraries["numpy"], "9.9"),
        ),
        ({"threads": {"openmp libgomp": 64}}, "threads", ("openmp libgomp", "2", "64")),
        ({"python": "3.99"}, "Python", ("Python", RECORD.python, "3.99")),
        ({"processor": "another"}, "processor", ("processor", RECORD.processor, "another")),
    ],
)
def test_another_machine_that_makes_the_same_model_is_told_and_is_no_other_model(
    trained: TrainedStack, reproduce: Run, change: dict[str, Any], name: str, difference: tuple[str, str, str]
) -> None:
    trained.sagemaker.record = RECORD.model_copy(update=change)
    status, told, _ = reproduce(MODEL, "--json")
    assert (status, told["identical"]) == (0, True)
    assert differing(told) == {name: [difference]}


def test_another_library_that_makes_another_model_is_named_beside_it(
    trained: TrainedStack, reproduce: Run
) -> None:
    trained.sagemaker.record = RECORD.model_copy(update={"libraries": {**RECORD.libraries, "numpy": "9.9"}})
    trained.sagemaker.compiled = b"otherwise"
    status, told, _ = reproduce(MODEL, "--json")
    assert (status, told["identical"]) == (5, False)
    assert differing(told).keys() == {"libraries", "compiled model", "metrics", "predictions"}
    # The recorded model answers as it did: it is the training that differs, and not this machine's arithmetic.
    rescored = next(each for each in told["findings"] if each["name"].startswith("the recorded model's"))
    assert rescored["state"] == "identical"
    status, text, _ = reproduce(MODEL)
    assert status == 5
    assert text.rstrip().endswith("differs in metrics, predictions, compiled model")
    assert f"numpy: {RECORD.libraries['numpy']} → 9.9" in text


def test_a_row_that_is_missing_is_counted(trained: TrainedStack, reproduce: Run) -> None:
    trained.sagemaker.rows = trained.sagemaker.rows.slice(0, 3)
    status, told, _ = reproduce(MODEL, "--json")
    assert status == 5
    found = differing(told)
    assert found["training rows"] == [("rows", "3", "2")]
    assert "held-out rows" not in found


def test_other_hyperparameters_than_were_recorded_are_named(trained: TrainedStack, reproduce: Run) -> None:
    trained.sagemaker.jobs[f"{MODEL}-train"]["HyperParameters"] = {"max_iter": "7"}
    status, told, _ = reproduce(MODEL, "--json")
    assert status == 5
    assert differing(told)["given to build_model"] == [("max_iter", "100", "7")]


def test_a_part_with_other_bytes_is_named_by_the_job_and_the_next_attempt_has_another_number(
    trained: TrainedStack, reproduce: Run
) -> None:
    broken = TrainingSetFailed(
        f"the part {PART.name} of the dataset is not as it was stored", why="its SHA-256"
    )
    trained.sagemaker.fails["-r1-build"] = to_wire(broken, most_bytes=900)
    status, _, said = reproduce(MODEL)
    assert status == 1
    assert f"the part {PART.name} of the dataset is not as it was stored" in said
    status, told, _ = reproduce(MODEL, "--json")
    assert (status, told["jobs"]["build"]) == (0, f"{MODEL}-r2-build")


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("shop-prod", "UnknownModel", "there is no model shop-prod"),
        ("", "UnknownModel", "there is no model"),
        ("f" * 16, "UnknownModel", "none of 2 begins so"),
        ("shop-dev-012", "NotOneModel", "2 models begin with shop-dev-012"),
        ("champion", "UnknownModel", "there is no champion yet"),
    ],
)
def test_a_name_that_is_not_one_models(
    trained: TrainedStack, reproduce: Run, text: str, error: str, said: str
) -> None:
    trained.train("shop-dev-0129999999999999", "other")
    status, told, lines = reproduce(text, "--json")
    assert (status, told["error"]) == (1, error)
    assert said in lines
    assert "to do" in lines


def test_the_champion_is_the_model_that_the_release_record_names(
    trained: TrainedStack, reproduce: Run
) -> None:
    trained.dynamodb.release = {"model_name": MODEL}
    status, told, _ = reproduce("champion", "--json")
    assert (status, told["model_name"]) == (0, MODEL)


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (
            keys.code(EXECUTION),
            "the project's code, as it was when the model was trained, is not there any more",
        ),
        (keys.model(MODEL), "the model's archive is not there any more"),
        (keys.manifest(VERSION), "the manifest of the dataset version it was made of is not there any more"),
        (PART.key, f"the part {PART.name} of the dataset version {VERSION} is not there any more"),
    ],
)
def test_what_was_deleted_is_named_before_anything_is_started(
    trained: TrainedStack, reproduce: Run, key: str, said: str
) -> None:
    del trained.objects[key]
    status, _, lines = reproduce(MODEL)
    assert status == 1
    assert said in lines
    assert f"s3://artifacts/{key}" in lines
    assert "take its delete marker away" in lines
    assert trained.sagemaker.created == []


@pytest.mark.parametrize("tag", ["train", "process"])
def test_an_image_that_is_gone_is_named(trained: TrainedStack, reproduce: Run, tag: str) -> None:
    trained.ecr.gone.add(tag)
    status, _, said = reproduce(MODEL)
    assert status == 1
    assert "an image that the model was made by is not there any more" in said
    assert f":{tag}" in said
    assert trained.sagemaker.created == []


@pytest.mark.parametrize("job", ["train", "build"])
def test_a_job_that_is_described_no_more_is_named(trained: TrainedStack, reproduce: Run, job: str) -> None:
    del trained.sagemaker.jobs[f"{MODEL}-{job}"]
    status, told, said = reproduce(MODEL, "--json")
    assert (status, told["error"]) == (1, "Gone")
    assert f"{MODEL}-{job}" in said


def test_an_archive_that_cannot_be_read(trained: TrainedStack, reproduce: Run) -> None:
    trained.objects[keys.model(MODEL)] = b"no archive"
    status, _, said = reproduce(MODEL)
    assert status == 1
    assert "the model's archive cannot be read" in said


def test_a_model_of_an_own_image_is_trained_again_and_not_asked(
    trained: TrainedStack, reproduce: Run
) -> None:
    inputs = trained.sagemaker.jobs[f"{MODEL}-evaluate"]["ProcessingInputs"]
    inputs[-1]["S3Input"]["S3Uri"] = "s3://artifacts/reports/run/predictions/challenger/"
    status, told, said = reproduce(MODEL, "--json")
    assert status == 0, said
    assert told["jobs"].keys() == {"build", "train"}
    names = {each["name"] for each in told["findings"]}
    assert "archive" in names
    assert not {"metrics", "predictions", "compiled model"} & names
    assert next(each for each in told["findings"] if each["name"] == "images")["state"] == "identical"
    assert "its image is your own" in said
    trained.sagemaker.compiled = b"otherwise"
    status, told, _ = reproduce(MODEL, "--json", "--again")
    assert (status, set(differing(told))) == (5, {"archive"})
