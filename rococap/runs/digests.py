"""Digests of a run's files, kept in its run.json: what was changed after it was written is named, not read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rococap.types import UserError

_OWN = "digest"  # of run.json itself


def digest(content: Path | str) -> str:
    """SHA-256 of a file, or of text."""
    if isinstance(content, str):
        return hashlib.sha256(content.encode(errors="replace")).hexdigest()
    with content.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def signed_json(content: Mapping[str, Any]) -> str:
    """Content as JSON that holds a digest of the rest."""
    own = {key: value for key, value in content.items() if key != _OWN}
    return _json({**own, _OWN: digest(_json(own))})


def read_signed_json(file: Path) -> dict[str, Any]:
    """Content as it was written; raises UserError where it is something else by now. What was not signed is taken."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("no object")
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(damaged(file, f"it was cut off or changed: {error}")) from error
    said = content.pop(_OWN, None)
    if said is not None and said != digest(_json(content)):
        raise UserError(damaged(file, "it was changed after it was written"))
    return content


def damaged(file: Path, why: str) -> str:
    """What is said of a file that is not as it was written."""
    remedies = {
        "run.json": "Delete it: the run then goes on from its last checkpoint.",
        "environment.json": "Delete it: the run then writes it anew.",
        "config.yaml": "Put it back as it was, or train again under another name.",
        "metrics.csv": "Put it back as it was, or train again under another name.",
        "key.json": "Put it back as it was: without it no sheet of this study can be scored.",
    }
    remedy = remedies.get(file.name, "Make it anew: python scripts/evaluate.py --run FOLDER captions and scores again.")
    return f"{file} is damaged: {why}.\n{remedy}"


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
