"""JSONPath, variables in it, and the texts of a definition, where moto reads them otherwise than AWS."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from moto.stepfunctions.parser.asl.antlr.runtime.ASLLexer import ASLLexer
from moto.stepfunctions.parser.asl.antlt4utils.antlr4utils import is_terminal
from moto.stepfunctions.parser.asl.component.common.assign.assign_decl import AssignDecl
from moto.stepfunctions.parser.asl.component.common.string import string_expression
from moto.stepfunctions.parser.asl.component.intrinsic.argument import argument
from moto.stepfunctions.parser.asl.component.state.choice import choice_rule
from moto.stepfunctions.parser.asl.component.state.choice.comparison.operator.implementations import (
    boolean_equals,
    numeric,
    string_operators,
    timestamp_operators,
)
from moto.stepfunctions.parser.asl.eval import states, variable_store
from moto.stepfunctions.parser.asl.eval.variable_store import NoSuchVariable
from moto.stepfunctions.parser.asl.parse import preprocessor
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.asl.utils.encoding import to_json_str

from local.stepfunctions import failures

_PATH_MODULES = (
    argument,
    boolean_equals,
    numeric,
    states,
    string_expression,
    string_operators,
    timestamp_operators,
)
_VARIABLE_PATH = re.compile(r"\$([^\W\d]\w*)(.*)", re.DOTALL)
# A path that gives one value or none: no wildcard, slice, filter, union or descent.
_DEFINITE_PATH = re.compile(r"""\$(\.[^.\[\]*?@()'",]+|\['[^'*]+'\]|\["[^"*]+"\]|\[\d+\])*""")


def install() -> None:
    for module in _PATH_MODULES:
        module.extract_json = _at_path
    string_expression.StringVariableSample._eval_body = _sample_variable
    variable_store.VariableStore.get_assigned_variables = _assigned_variables
    preprocessor.Preprocessor._inner_string_of = staticmethod(_text_of)
    preprocessor.from_string_literal = _text_of
    visitor = preprocessor.Preprocessor
    visitor.visitChoice_rule_comparison_variable = _with_assign(visitor.visitChoice_rule_comparison_variable)
    choice_rule.ChoiceRule._eval_body = _evaluate_rule


def _with_assign(visit: Any) -> Any:
    """Keep a Choice rule's Assign; moto drops it in JSONPath."""

    def visit_rule(self: Any, ctx: Any) -> Any:
        rule = visit(self, ctx)
        if rule.assign is None:
            parts = (self.visit(child) for child in ctx.children)
            rule.assign = next((part for part in parts if isinstance(part, AssignDecl)), None)
        return rule

    return visit_rule


def _evaluate_rule(self: Any, env: Any) -> None:
    """Evaluate a Choice rule; its Assign reads the state's input, which moto hides behind the result."""
    self.comparison.eval(env)
    holds = env.stack.pop()
    if holds is True:
        for part in (self.assign, self.output):
            if part:
                part.eval(env=env)
    env.stack.append(holds)


def _sample_variable(self: Any, env: Any) -> None:
    """A variable in JSONPath (`$name`, `$name.field[0]`); moto evaluates it as JSONata in a Java machine."""
    match = _VARIABLE_PATH.fullmatch(self.expression)
    try:
        value = env.variable_store.get(match[1]) if match else None
    except NoSuchVariable:
        match = None
    if match is None:
        cause = f"The variable '{self.expression}' is not defined."
        raise failures.raising(failures.task_failure(env, failures.RUNTIME, cause))
    env.stack.append(copy.deepcopy(_at_path(f"${match[2]}", value)))


def _at_path(path: str, data: Any) -> Any:
    """What stands at a JSONPath; moto makes an array of what one value of an array (`$.a[0].b`) gives."""
    value = json_path.extract_json(path, data)
    if _DEFINITE_PATH.fullmatch(path) and (found := json_path.parse(path).find(data)):
        value = found[0].value
    return value


def _assigned_variables(self: Any) -> dict[str, str]:
    """The variables that a state assigned, as JSON, for its exit in the history."""
    return {name: to_json_str(self.get(name), separators=(",", ":")) for name in self._declaration_tracing}


def _text_of(parser_rule_context: Any) -> str | None:
    """The value of a string in a definition; moto leaves its JSON escapes, or reads them as Python's."""
    if is_terminal(parser_rule_context, ASLLexer.NULL):
        return None
    text: str = parser_rule_context.getText()
    if text.startswith('"') and text.endswith('"'):
        text = json.loads(text)
    return text
