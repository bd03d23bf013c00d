"""YAML in and out. Reading refuses duplicate keys and unset variables; writing is canonical, so equal documents are equal bytes."""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from apps.pipes.config.faults import Fault, as_problem, refuse

VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
LONGEST_TEXT = 8 * 1024 * 1024


class _Loader(yaml.SafeLoader):
    """The safe loader; a key that comes twice is an error instead of a silent overwrite, and there are no aliases."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        # aliases let a small text unfold into a huge document
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]  # the stubs leave it untyped
            raise yaml.composer.ComposerError(None, None, "aliases are not read here, write the value out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key!r} comes twice", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(text: str, where: str, variables: Mapping[str, str]) -> dict[str, Any]:
    """The mapping that a YAML text holds, with `${NAME}` replaced from `variables`. Raises Invalid naming file and line."""
    if len(text) > LONGEST_TEXT:
        raise as_problem([Fault(where, f"The text is longer than {LONGEST_TEXT} characters.", "Split it.")])
    try:
        loaded = yaml.load(_with_variables(text, where, variables), Loader=_Loader)  # noqa: S506 - derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}:{mark.line + 1}" if mark else where
        raise as_problem([Fault(place, f"Not valid YAML: {error.problem}.", "Mend this line.")]) from error
    except (yaml.YAMLError, RecursionError, ValueError, TypeError) as error:
        raise as_problem([Fault(where, f"Not valid YAML: {error}.", "Mend the text.")]) from error
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        fix = "Start with `receivers:`, `views:` or `pipes:`."
        raise as_problem([Fault(where, "The text must be a mapping of sections.", fix)])
    return {str(key): value for key, value in loaded.items()}


def dump(plain: Mapping[str, Any]) -> str:
    """Canonical YAML: objects by id, fields in the order of the document, UTF-8, no aliases."""
    return yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=10_000)


class _Dumper(yaml.SafeDumper):
    """The safe dumper, indenting lists and never writing aliases."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _with_variables(text: str, where: str, variables: Mapping[str, str]) -> str:
    faults: list[Fault] = []

    def line_of(number: int, line: str) -> str:
        def value(match: re.Match[str]) -> str:
            name = match.group(1)
            if name not in variables:
                faults.append(Fault(f"{where}:{number}", f"The variable {name} is not set.", f"Set {name}, or write the value."))
            return variables.get(name, "")

        return line if line.lstrip().startswith("#") else VARIABLE.sub(value, line)

    replaced = "\n".join(line_of(number, line) for number, line in enumerate(text.split("\n"), 1))
    refuse(faults)
    return replaced
