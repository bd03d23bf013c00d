"""Strike secrets out of YAML text, keeping everything else as it was written. Pure; used before a config report is stored (R50)."""

import re
from collections.abc import Iterator

import yaml

REDACTED = '"(not shown)"'
_SECRET_NAME = re.compile(r"(?i)(key|token|secret|password|passwd|credential|authorization)s?$")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")


class NotYaml(ValueError):
    """The text is no YAML, so nobody can say which of it is secret; the text says where."""


def redacted(text: str) -> str:
    """The text with every value below a key that names a secret struck out, and passwords taken out of URLs. Raises NotYaml."""
    try:
        spans = sorted({span for node in yaml.compose_all(text, yaml.SafeLoader) for span in _secret_spans(node)}, reverse=True)
    except yaml.MarkedYAMLError as error:
        # the error's own text quotes the line, which may hold the secret
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise NotYaml(f"{error.problem or 'not readable'} in line {line}") from None
    except (yaml.YAMLError, RecursionError):
        raise NotYaml("not readable, or nested too deep") from None
    for start, end in spans:
        text = text[:start] + REDACTED + text[end:]
    return _USER_INFO.sub("(not shown)@", text)


def _secret_spans(root: yaml.Node | None) -> Iterator[tuple[int, int]]:
    """(start, end) of every scalar below a secret name. Iterative: reports may nest as deep as they like."""
    pending = [(root, False)]
    seen: set[tuple[int, bool]] = set()
    while pending:
        node, secret = pending.pop()
        if node is None or (id(node), secret) in seen:  # an alias leads back to its anchor
            continue
        seen.add((id(node), secret))
        if isinstance(node, yaml.MappingNode):
            pending.extend((value, secret or _names_secret(key)) for key, value in node.value)
        elif isinstance(node, yaml.SequenceNode):
            pending.extend((item, secret) for item in node.value)
        elif secret and node.value:
            yield node.start_mark.index, node.end_mark.index


def _names_secret(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and _SECRET_NAME.search(key.value) is not None
