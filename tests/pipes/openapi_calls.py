"""Calls made from the OpenAPI document: every route with the smallest body and query that its schema takes."""

from dataclasses import dataclass
from typing import Any

import httpx

PLAIN: dict[str, Any] = {"string": "x", "integer": 1, "number": 1, "boolean": False, "object": {}, "array": []}


@dataclass(frozen=True)
class Call:
    """One call. `route` is its method and path as the document names it."""

    route: str
    method: str
    path: str
    params: dict[str, Any]
    body: Any

    def send(self, http: httpx.Client, headers: dict[str, str]) -> httpx.Response:
        """Make it."""
        return http.request(self.method, self.path, params=self.params, json=self.body, headers=headers)


def calls(document: dict[str, Any], known: dict[str, str]) -> list[Call]:
    """Every route once; `known` fills parameters of paths by name, the others get the smallest value that fits."""
    return [
        _call(document, path, method, operation, known)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def _call(document: dict[str, Any], path: str, method: str, operation: dict[str, Any], known: dict[str, str]) -> Call:
    filled, params = path, {}
    for parameter in operation.get("parameters", ()):
        value = known.get(parameter["name"], smallest(document, parameter["schema"]))
        if parameter["in"] == "path":
            filled = filled.replace("{" + parameter["name"] + "}", str(value))
        elif parameter["in"] == "query" and parameter.get("required"):
            params[parameter["name"]] = value
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    body = smallest(document, content["schema"]) if content else None
    return Call(f"{method.upper()} {path}", method.upper(), filled, params, body)


def smallest(document: dict[str, Any], schema: dict[str, Any]) -> Any:
    """The smallest value that a schema takes."""
    if "$ref" in schema:
        return smallest(document, document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]])
    for union in ("anyOf", "allOf", "oneOf"):
        if union in schema:
            return smallest(document, schema[union][0])
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    if schema.get("format") == "uuid":
        return "3f2b8a52-6f6d-4e0e-9d55-0d2f0e1c9a11"
    if schema.get("type") == "object" and "properties" in schema:
        return {name: smallest(document, schema["properties"][name]) for name in schema.get("required", ())}
    if schema.get("type") == "array":
        return [smallest(document, schema["items"])] * schema.get("minItems", 0)
    if schema.get("type") in {"integer", "number"}:
        return max(1, schema.get("minimum", 1))
    return PLAIN[schema.get("type", "string")]
