"""Renders the OpenAPI document as one static page: works offline, and under a policy that allows no script."""

import base64
import hashlib
import json
from html import escape
from typing import Any, Final

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h2{margin-top:2.5rem;text-transform:capitalize;border-bottom:1px solid #ccc}
details{border:1px solid #d5d5d5;border-radius:6px;margin:.5rem 0;padding:.5rem .8rem}
summary{cursor:pointer}code,pre{font-family:ui-monospace,monospace;font-size:.92em}
pre{background:#f5f5f5;padding:.7rem;overflow:auto;border-radius:4px}
.method{display:inline-block;min-width:4.2rem;font-weight:700}.roles{color:#555}
table{border-collapse:collapse}td,th{text-align:left;padding:.15rem .8rem .15rem 0;vertical-align:top}
"""

_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
DOCS_CSP: Final = f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; frame-ancestors 'none'"

_METHODS: Final = ("get", "post", "put", "delete")


def render(document: dict[str, Any]) -> str:
    """The whole page."""
    groups: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                operation = item[method]
                tag = (operation.get("tags") or ["other"])[0]
                groups.setdefault(tag, []).append(_operation(path, method, operation, document))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(rows)}" for tag, rows in groups.items())
    codes = "".join(
        f"<tr><td>{kind['status']}</td><td><code>{escape(code)}</code></td><td>{escape(kind['title'])}</td></tr>"
        for code, kind in document["x-problem-codes"].items()
    )
    title = escape(document["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} API</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{title} API</h1><p>{escape(document['info']['description'])}</p>"
        f'<p><a href="/openapi.json">openapi.json</a></p>{sections}'
        f"<h2>Problem codes</h2><table><tr><th>status</th><th>code</th><th>title</th></tr>{codes}</table>"
        "</body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any], document: dict[str, Any]) -> str:
    roles = ", ".join(operation.get("x-roles", ()))
    parameters = "".join(
        f"<tr><td><code>{escape(p['name'])}</code></td><td>{escape(p['in'])}</td>"
        f"<td>{escape(p.get('description', ''))}</td></tr>"
        for p in operation.get("parameters", ())
    )
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(response.get('description', ''))}</td></tr>"
        for status, response in sorted(operation["responses"].items())
    )
    return (
        f'<details><summary><span class="method">{method.upper()}</span> <code>{escape(path)}</code> '
        f'<span class="roles">{escape(roles)}</span></summary><p>{escape(operation.get("description", ""))}</p>'
        f"{_table('Parameters', parameters)}{_body(operation, document)}{_table('Answers', answers)}</details>"
    )


def _table(title: str, rows: str) -> str:
    return f"<h4>{title}</h4><table>{rows}</table>" if rows else ""


def _body(operation: dict[str, Any], document: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if content is None:
        return ""
    example = json.dumps(_example(content.get("schema", {}), document["components"]["schemas"]), indent=2)
    return f"<h4>Body</h4><pre>{escape(example)}</pre>"


def _example(schema: dict[str, Any], schemas: dict[str, Any]) -> object:
    """The schema's own example, else one put together from its members'."""
    if "$ref" in schema:
        return _example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if schema.get("examples"):
        return schema["examples"][0]
    if "default" in schema:
        return schema["default"]
    if schema.get("anyOf"):
        return _example(schema["anyOf"][0], schemas)
    match schema.get("type"):
        case "object":
            return {name: _example(member, schemas) for name, member in schema.get("properties", {}).items()}
        case "array":
            return [_example(schema.get("items", {}), schemas)]
        case "integer" | "number":
            return 1
        case "boolean":
            return True
        case _:
            return "…"
