"""How the console shows paths as links, and audits as badges."""

from urllib.parse import urlencode

from django import template
from django.utils.safestring import SafeString

from apps.runtime.templatetags.console import badge
from apps.views.models import Audit
from apps.views.queries.nodes import Node
from fustor_schema import paths

register = template.Library()

AUDIT_LEVELS = {
    Audit.State.OPEN: "busy",
    Audit.State.HELD: "bad",
    Audit.State.COMPLETE: "ok",
    Audit.State.PARTIAL: "warn",
    Audit.State.ABORTED: "off",
}


@register.simple_tag
def key_query(key: str, scope: str | None = "") -> str:
    """`?path=…` (or `path_b64=…`, when the path is not plain UTF-8) with the scope of a forest (R34)."""
    return _query({"path_b64": paths.to_base64(key)} if paths.is_escaped(key) else {"path": key}, scope)


@register.simple_tag
def node_query(node: Node, scope: str | None = "") -> str:
    """The same for a node of an answer."""
    return _query({"path_b64": node.path_b64} if node.path_b64 else {"path": node.path}, scope)


def _query(parameters: dict[str, str], scope: str | None) -> str:
    return "?" + urlencode(parameters | ({"scope": scope} if scope else {}))


@register.simple_tag
def audit_badge(audit: Audit) -> SafeString:
    """The badge of an audit's state."""
    return badge(AUDIT_LEVELS[Audit.State(audit.state)], audit.get_state_display(), audit.reason)
