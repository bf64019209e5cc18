"""How the PrestaShop Webservice prints rows and errors: JSON with its traps, and XML, its default.

Belongs here: encoding only. A LIST prints every field; a SINGLE row leaves out what is empty or 0 in JSON, but not in XML.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from sandbox.servers.prestashop_resources import RESOURCES, Association, Resource
from sandbox.servers.table import Row

XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<prestashop xmlns:xlink="http://www.w3.org/1999/xlink">\n'
JSON_TYPE = "application/json"
XML_TYPE = "text/xml;charset=utf-8"


def is_empty(value: Any) -> bool:
    """What PHP calls empty: a single row's JSON leaves such fields out."""
    return value in (None, False, "", "0", 0) or value in ([], {})


def single_json(resource: Resource, row: Row, *, is_write_reply: bool) -> bytes:
    """One row as {"product": {...}}; its id is text in the reply to a write."""
    kept = {name: value for name, value in row.items() if name == "id" or not is_empty(value)}
    kept["id"] = str(row["id"]) if is_write_reply else row["id"]
    return msgspec.json.encode({resource.node: kept})


def list_json(resource: Resource, rows: Sequence[bytes]) -> bytes:
    """Encoded rows as {"products": [...]}; no row at all is a bare []."""
    if not rows:
        return b"[]"
    return b'{"' + resource.key.encode() + b'":[' + b",".join(rows) + b"]}"


def errors_body(errors: Iterable[tuple[int, str]], *, as_json: bool) -> bytes:
    """Errors as the shop prints them: messages HTML-escaped, except quotes."""
    escaped = [(code, html.escape(message, quote=False) if "->" in message else message) for code, message in errors]
    if as_json:
        return msgspec.json.encode({"errors": [{"code": code, "message": message} for code, message in escaped]})
    nodes = "".join(
        f"<error>\n<code>{_cdata(code)}</code>\n<message>{_cdata(message)}</message>\n</error>\n"
        for code, message in escaped
    )
    return f"{XML_HEAD}<errors>\n{nodes}</errors>\n</prestashop>\n".encode()


def single_xml(resource: Resource, row: Row, base: str) -> bytes:
    """One row as XML, every field in it. ``base``: the shop's URL, for the links."""
    return f"{XML_HEAD}{_node(resource, row, resource.fields, base)}</prestashop>\n".encode()


def list_xml(resource: Resource, rows: Iterable[Row], fields: tuple[str, ...] | None, base: str) -> bytes:
    """Rows as XML; ``fields`` None = all, only ("id",) = bare links."""
    if fields == ("id",):
        nodes = "".join(
            f'<{resource.node} id="{row["id"]}" xlink:href="{base}/api/{resource.path}/{row["id"]}"/>\n' for row in rows
        )
    else:
        nodes = "".join(
            _node(resource, row, fields or tuple(row), base, with_associations=fields is None) for row in rows
        )
    return f"{XML_HEAD}<{resource.key}>\n{nodes}</{resource.key}>\n</prestashop>\n".encode()


def synopsis_xml(resource: Resource, base: str, *, blank: bool) -> bytes:
    """The resource's empty form, as `schema=blank` or `schema=synopsis` gives it."""
    lines = []
    for name in resource.fields:
        if name == "id":
            continue
        marks = "" if blank else _marks(resource, name)
        if resource.is_multilingual(name):
            texts = "".join(_language(number, "", base) for number in ("1", "2"))
            lines.append(f"\t<{name}{marks}>{texts}</{name}>")
        else:
            lines.append(f"\t<{name}{marks}>{_cdata('')}</{name}>")
    body = "\n".join(lines)
    lists = "".join(
        f'<{item.name} nodeType="{item.node}" api="{item.api}">\n<{item.node}>\n'
        + "".join(f"<{name}>{_cdata('')}</{name}>\n" for name in item.fields)
        + f"</{item.node}>\n</{item.name}>\n"
        for item in resource.associations
    )
    associations = f"<associations>\n{lists}</associations>\n" if lists else ""
    return f"{XML_HEAD}<{resource.node}>\n{body}\n{associations}</{resource.node}>\n</prestashop>\n".encode()


def index_xml(shop_name: str, base: str, allowed: Iterable[tuple[str, frozenset[str]]]) -> bytes:
    """The resources a key may use, with the methods: what GET /api/ answers."""
    nodes = []
    for path, methods in allowed:
        verbs = " ".join(
            f'{verb}="{"true" if verb.upper() in methods else "false"}"'
            for verb in ("get", "put", "post", "patch", "delete", "head")
        )
        link = f'xlink:href="{base}/api/{path}" {verbs}'
        schemas = (
            "".join(
                f'<schema xlink:href="{base}/api/{path}?schema={kind}" type="{kind}"/>\n'
                for kind in ("blank", "synopsis")
            )
            if path in RESOURCES
            else ""
        )
        nodes.append(f"<{path} {link}>\n<description {link}>\nThe {path}</description>\n{schemas}</{path}>\n")
    return f'{XML_HEAD}<api shopName="{html.escape(shop_name)}">\n{"".join(nodes)}</api>\n</prestashop>\n'.encode()


def _marks(resource: Resource, name: str) -> str:
    formats = {
        "price": "isPrice",
        "negative_price": "isNegativePrice",
        "unsigned": "isUnsignedId",
        "int": "isInt",
        "bool": "isBool",
        "unsigned_float": "isUnsignedFloat",
        "catalog_name": "isCatalogName",
        "ean13": "isEan13",
        "reference": "isReference",
    }
    marks = ' required="true"' if name in resource.required else ""
    if name in resource.not_filterable:
        marks += ' notFilterable="true"'
    if name in resource.read_only:
        marks += ' read_only="true" readOnly="true"'
    written_as = formats.get(resource.formats.get(name, ""))
    return f'{marks} format="{written_as}"' if written_as else marks


def _cdata(value: Any) -> str:
    text = "" if value is None or value is False else str(value)
    return f"<![CDATA[{text.replace(']]>', ']]]]><![CDATA[>')}]]>"


def _language(number: str, text: str, base: str) -> str:
    return f'<language id="{number}" xlink:href="{base}/api/languages/{number}">{_cdata(text)}</language>'


def _node(resource: Resource, row: Row, fields: tuple[str, ...], base: str, *, with_associations: bool = True) -> str:
    lines = []
    for name in fields:
        if name == "associations":
            continue
        value = row.get(name)
        if isinstance(value, list):
            texts = "".join(_language(item["id"], item["value"], base) for item in value)
            lines.append(f"\t<{name}>{texts}</{name}>\n")
            continue
        target = resource.links.get(name)
        link = f' xlink:href="{base}/api/{target}/{value}"' if target and not is_empty(value) else ""
        mark = ' notFilterable="true"' if name in resource.not_filterable else ""
        lines.append(f"\t<{name}{link}{mark}>{_cdata(value)}</{name}>\n")
    if with_associations and resource.associations:
        held = row.get("associations") or {}
        lists = "".join(_association(item, held.get(item.name) or [], base) for item in resource.associations)
        lines.append(f"<associations>\n{lists}</associations>\n")
    return f"<{resource.node}>\n{''.join(lines)}</{resource.node}>\n"


def _association(association: Association, elements: list[Row], base: str) -> str:
    head = f'<{association.name} nodeType="{association.node}" api="{association.api}"'
    if not elements:
        return f"{head}/>\n"
    nodes = []
    for element in elements:
        link = (
            f' xlink:href="{base}/api/{association.api}/{element["id"]}"' if association.api and "id" in element else ""
        )
        fields = "".join(f"\t<{name}>{_cdata(value)}</{name}>\n" for name, value in element.items())
        nodes.append(f"\t<{association.node}{link}>\n{fields}\t</{association.node}>\n")
    return f"{head}>\n{''.join(nodes)}</{association.name}>\n"
