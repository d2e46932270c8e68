"""Intrinsic functions and the order of resources."""

from __future__ import annotations

from typing import Any

import pytest

from local.cloudformation.errors import TemplateError
from local.cloudformation.intrinsics import Resource, Scope
from local.cloudformation.template import Template, in_order


def scope(**given: Any) -> Scope:
    settings: dict[str, Any] = {
        "parameters": {"Stage": "dev", "Names": ["a", "b"]},
        "pseudo": {"AWS::Region": "us-east-1"},
        "mappings": {"Sizes": {"dev": {"memory": 128}}},
        "conditions": {"IsDev": {"Fn::Equals": [{"Ref": "Stage"}, "dev"]}},
        "declared": {"Bucket": "AWS::S3::Bucket"},
        "resources": {"Bucket": Resource("the-bucket", {"Arn": "arn:aws:s3:::the-bucket"})},
        "exports": {},
    }
    return Scope(**{**settings, **given})


class TestIntrinsics:
    @pytest.mark.parametrize(
        ("value", "resolved"),
        [
            ({"Fn::Sub": "${Bucket}/${Stage}/${!Literal}/${Bucket.Arn}"}, None),
            ({"Fn::Sub": ["${X}-${Stage}", {"X": {"Ref": "Bucket"}}]}, "the-bucket-dev"),
            ({"Fn::Join": [",", {"Ref": "Names"}]}, "a,b"),
            ({"Fn::Select": [1, {"Fn::Split": ["-", "x-y-z"]}]}, "y"),
            ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "memory"]}, 128),
            ({"Fn::If": ["IsDev", "yes", "no"]}, "yes"),
            ({"a": {"Ref": "AWS::NoValue"}, "b": [1, {"Ref": "AWS::NoValue"}]}, {"b": [1]}),
            ({"Fn::Base64": "x"}, "eA=="),
            ({"Fn::ToJsonString": {"a": {"Ref": "Stage"}}}, '{"a": "dev"}'),
            ({"Fn::GetAZs": ""}, ["us-east-1a", "us-east-1b", "us-east-1c"]),
        ],
    )
    def test_resolves(self, value: Any, resolved: Any) -> None:
        expected = resolved or "the-bucket/dev/${Literal}/arn:aws:s3:::the-bucket"
        assert scope().resolve(value) == expected

    def test_unknown_function_and_attribute_are_named(self) -> None:
        with pytest.raises(TemplateError, match="Fn::Cidr"):
            scope().resolve({"Fn::Cidr": ["10.0.0.0/16", 2]})
        with pytest.raises(TemplateError, match=r"Bucket.*has no attribute Colour.*Arn"):
            scope().resolve({"Fn::GetAtt": "Bucket.Colour"})

    def test_circle_is_named(self) -> None:
        with pytest.raises(TemplateError, match=r"\[A, B, A\]"):
            in_order({"A": {"B"}, "B": {"A"}})
        with pytest.raises(TemplateError, match=r"\[(A, B, C, A|B, C, A, B|C, A, B, C)\]"):
            in_order({"A": {"B"}, "B": {"C"}, "C": {"A"}, "D": {"A"}})

    def test_what_is_needed_comes_first(self) -> None:
        assert in_order({"Last": {"Middle", "First"}, "Middle": {"First"}, "First": set()}) == [
            "First",
            "Middle",
            "Last",
        ]

    def test_yaml_dates_stay_text(self) -> None:
        template = Template.parse("Resources: {R: {Type: T, Properties: {Version: 2012-10-17}}}")
        assert template.section("Resources")["R"]["Properties"]["Version"] == "2012-10-17"
