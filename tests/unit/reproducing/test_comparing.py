"""A model beside the same one built again: whatever differs is found, and only what makes another model decides."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice.payloads.documents import SplitSummary
from sluice.reproducing.builds import Archive, Build
from sluice.reproducing.comparing import TRAINING_ROWS, Compared, Difference, compare
from tests.support.builds import BUILD, MEMBERS, RECORD, sha256


def recorded(**changes: Any) -> Build:
    return replace(BUILD, archive=Archive(MEMBERS, RECORD.model_copy(update=changes)))


def with_member(name: str) -> Build:
    return replace(BUILD, archive=Archive({**MEMBERS, name: sha256("other")}, RECORD))


def judged(**changes: Any) -> Build:
    assert BUILD.evaluation is not None
    return replace(BUILD, evaluation=BUILD.evaluation.model_copy(update=changes))


def found(compared: Compared) -> dict[str, set[str]]:
    return {
        each.name: {difference.what for difference in each.differences}
        for each in compared.findings
        if each.state == "differs"
    }


def test_the_same_is_identical_in_everything() -> None:
    compared = compare(BUILD, BUILD, rescored_sha256=sha256("said"))
    assert compared.identical
    assert {each.state for each in compared.findings} == {"identical"}


@pytest.mark.parametrize(
    ("again", "name", "what"),
    [
        (replace(BUILD, dataset_version="f" * 16), "dataset version", "dataset version"),
        (replace(BUILD, parts={"a": sha256("a"), "b": sha256("other")}), "parts", "b"),
        (replace(BUILD, parts={"a": sha256("a")}), "parts", "b"),
        (replace(BUILD, parts=dict(reversed(BUILD.parts.items()))), "parts", "order"),
        (replace(BUILD, code_sha256=sha256("other")), "project code", "project code"),
        (
            replace(BUILD, hyperparameters={"max_iter": "101", "learning_rate": "0.1"}),
            "hyperparameters",
            "max_iter",
        ),
        (replace(BUILD, hyperparameters={"max_iter": "100"}), "hyperparameters", "learning_rate"),
        (
            replace(BUILD, images={"training": "registry/train:2", "evaluation": "registry/process:1"}),
            "images",
            "training",
        ),
        (recorded(hyperparameters={"max_iter": 7}), "given to build_model", "max_iter"),
        (recorded(plan_sha256=sha256("plan")), "feature plan", "feature plan"),
        (recorded(seed=1), "seed", "seed"),
        (recorded(split=SplitSummary(salt="other", held_out_share=0.2)), "split", "salt"),
        (recorded(entity_key=None), "split", "entity.key"),
        (replace(BUILD, train_sha256=sha256("other")), "training rows", "training rows"),
        (replace(BUILD, held_out_sha256=sha256("other")), "held-out rows", "held-out rows"),
        # By one bit.
        (judged(metrics={"roc_auc": 0.8000000000000002, "log_loss": 0.4}), "metrics", "roc_auc"),
        (judged(metrics={"roc_auc": 0.8}), "metrics", "log_loss"),
        (judged(predictions_sha256=sha256("other")), "predictions", "predictions"),
        (with_member("compiled.sluice"), "compiled model", "compiled model"),
        (with_member("contract.json"), "contract.json", "contract.json"),
        (with_member("code/train.py"), "code in the archive", "code/train.py"),
        (with_member("code/more.py"), "code in the archive", "code/more.py"),
    ],
)
def test_what_makes_another_model_is_named_and_decides(again: Build, name: str, what: str) -> None:
    compared = compare(BUILD, again)
    assert found(compared) == {name: {what}}
    assert not compared.identical


@pytest.mark.parametrize(
    ("again", "name", "what"),
    [
        (recorded(python="3.13.10"), "Python", "Python"),
        (
            recorded(libraries={"numpy": "2.3.6", "scikit-learn": "1.8.0"}),
            "libraries",
            "numpy",
        ),
        (recorded(libraries={"numpy": "2.3.5"}), "libraries", "scikit-learn"),
        (recorded(machine="aarch64 glibc 2.36"), "machine", "machine"),
        (recorded(processor="another"), "processor", "processor"),
        (recorded(cores=4), "cores", "cores"),
        (recorded(threads={"openmp libgomp": 4}), "threads", "openmp libgomp"),
        (recorded(thread_settings={}), "threads", "GOMP_SPINCOUNT"),
        (recorded(instance_type="ml.c5.large"), "instance type", "instance type"),
        (with_member("scoring.json"), "scoring.json", "scoring.json"),
        (with_member("model.joblib"), "pickle of the fitted model", "pickle of the fitted model"),
    ],
)
def test_what_only_explains_is_named_and_decides_nothing(again: Build, name: str, what: str) -> None:
    compared = compare(BUILD, again)
    assert found(compared) == {name: {what}}
    assert compared.identical


def test_a_difference_says_what_was_and_what_is() -> None:
    (difference,) = (
        compare(BUILD, recorded(libraries={"numpy": "2.3.6", "scikit-learn": "1.8.0"}))
        .named("libraries")
        .differences
    )
    assert (difference.recorded, difference.again) == ("2.3.5", "2.3.6")
    (gone,) = compare(BUILD, recorded(libraries={"numpy": "2.3.5"})).named("libraries").differences
    assert (gone.recorded, gone.again) == ("1.8.0", None)


def test_a_hyperparameter_is_what_it_is_however_it_is_written() -> None:
    again = replace(BUILD, hyperparameters={"max_iter": "100 ", "learning_rate": "1e-1"})
    assert compare(BUILD, again).named("hyperparameters").state == "identical"


def test_rows_that_were_only_written_otherwise_make_no_other_model() -> None:
    again = replace(BUILD, train_sha256=sha256("other"))
    assert compare(BUILD, again, {TRAINING_ROWS: ()}).identical
    fewer = Difference(what="rows", recorded="80", again="79")
    compared = compare(BUILD, again, {TRAINING_ROWS: (fewer,)})
    assert not compared.identical
    assert compared.named(TRAINING_ROWS).differences == (fewer,)


def test_what_was_not_recorded_is_said_to_be_unknown() -> None:
    old = replace(BUILD, archive=Archive(MEMBERS, None), evaluation=None, train_sha256=None)
    compared = compare(old, BUILD)
    unknown = {each.name for each in compared.findings if each.state == "unknown"}
    assert {"training rows", "metrics", "predictions", "libraries", "threads", "seed"} <= unknown
    assert compared.identical
    assert not compare(old, with_member("compiled.sluice")).identical


def test_a_model_of_an_own_image_is_its_archive() -> None:
    own = replace(BUILD, own_image=True, evaluation=None, archive=Archive({"weights.bin": sha256("w")}))
    assert "predictions" not in {each.name for each in compare(own, own).findings}
    again = replace(own, archive=Archive({"weights.bin": sha256("v")}))
    assert found(compare(own, again)) == {"archive": {"weights.bin"}}
    assert not compare(own, again).identical


def test_a_machine_that_computes_otherwise_is_told_from_another_model() -> None:
    compared = compare(BUILD, judged(predictions_sha256=sha256("x")), rescored_sha256=sha256("x"))
    assert not compared.identical
    assert compared.named("the recorded model's predictions, made now").state == "differs"
    trained = compare(BUILD, judged(predictions_sha256=sha256("x")), rescored_sha256=sha256("said"))
    assert trained.named("the recorded model's predictions, made now").state == "identical"


VALUES = st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False) | st.integers(), max_size=5)


@given(VALUES, VALUES)
def test_exactly_the_values_that_differ_by_a_bit_are_named(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    def bits(values: dict[str, Any]) -> dict[str, Any]:
        return {
            name: value.hex() if isinstance(value, float) else value.to_bytes(99, signed=True)
            for name, value in values.items()
        }

    given_ = compare(recorded(hyperparameters=before), recorded(hyperparameters=after))
    one, other = bits(before), bits(after)
    differing = {name for name in one.keys() | other.keys() if one.get(name) != other.get(name)}
    assert {each.what for each in given_.named("given to build_model").differences} == differing
