# Copyright: (c) 2026, the failover lab's authors
# GNU General Public License v3.0 or later (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Holding the files of results folders against the schemas of docs/schemas."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "schemas"
SCHEMAS = {path.name.removesuffix(".schema.json"): json.loads(path.read_text()) for path in FOLDER.glob("*.json")}


def strict(schema: Any) -> Any:
    """Return a schema that allows no key that it does not describe, so that a new one is noticed.

    An object of which it describes no keys stays open.
    """
    if isinstance(schema, list):
        return [strict(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {}
    for name, value in schema.items():
        if name in ("properties", "$defs"):
            closed[name] = {key: strict(item) for key, item in value.items()}
        elif name in ("items", "anyOf", "additionalProperties"):
            closed[name] = strict(value)
        else:
            closed[name] = value
    return {"additionalProperties": False, **closed} if "properties" in closed else closed


STRICT = {name: Draft202012Validator(strict(schema)) for name, schema in SCHEMAS.items()}


def hold(name: str, document: Any) -> None:
    """Hold a document against its schema, and against one that allows no key that is not described."""
    document = json.loads(json.dumps(document))
    Draft202012Validator(SCHEMAS[name]).validate(document)
    STRICT[name].validate(document)


def hold_folder(folder: Path) -> None:
    """Hold all files of a run's folder that have a schema."""
    hold("run", json.loads((folder / "run.json").read_text()))
    hold("verdict", json.loads((folder / "verdict.json").read_text()))
    for path in folder.glob("*/experiment.json"):
        hold("experiment", json.loads(path.read_text()))
        hold("experiment-verdict", json.loads((path.parent / "verdict.json").read_text()))
