"""The OpenAPI shape of an answer, made from the struct that it is encoded from, so the two cannot differ. Used by `schemas`."""

import types
from collections.abc import Iterable
from typing import Any, Union, get_args, get_origin

import msgspec
from ninja import Schema
from pydantic import create_model

from apps.views.queries.nodes import DirectoryNode, Node

_shapes: dict[Any, Any] = {}


def shape_of(struct: type[msgspec.Struct], name: str) -> type[Schema]:
    """A schema called `name` with the fields, defaults and words of a struct. Structs in its fields must have been described."""
    shape = _model(name, struct.__doc__, msgspec.structs.fields(struct))
    _shapes[struct] = shape
    return shape


def node_shape(name: str) -> type[Schema]:
    """The schema of any node: what only directories have is optional."""
    always = {field.name for field in msgspec.structs.fields(Node)}
    fields = msgspec.structs.fields(DirectoryNode)
    shape = _model(name, Node.__doc__, fields, optional={field.name for field in fields} - always)
    _shapes[Node] = _shapes[DirectoryNode] = shape
    return shape


def _model(name: str, doc: str | None, fields: Iterable[msgspec.structs.FieldInfo], optional: Iterable[str] = ()) -> type[Schema]:
    definitions: dict[str, Any] = {}
    for field in fields:
        shape = _described(field.type)
        if field.name in optional:
            definitions[field.name] = (shape | None, None)
        else:
            definitions[field.name] = (shape, field.default if field.default is not msgspec.NODEFAULT else ...)
    model: type[Schema] = create_model(name, __base__=Schema, __doc__=doc, **definitions)
    return model


def _described(kind: Any) -> Any:
    """A type with the structs in it replaced by their shapes."""
    parts = get_args(kind)
    if not parts:
        return _shapes.get(kind, kind)
    if isinstance(kind, types.UnionType) or get_origin(kind) is Union:
        return Union[tuple(dict.fromkeys(_described(part) for part in parts))]  # noqa: UP007 - made at run time
    origin: Any = get_origin(kind)
    return origin[tuple(_described(part) for part in parts)]
