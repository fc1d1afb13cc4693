"""Fills a JSON schema from a text without a model: labelled values, numbers, fitting sentences, key words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from django_wp_ai.exceptions import ProviderRefused
from django_wp_ai.providers import words

MAX_DEPTH = 32
MAX_VALUES = 200  # a few $refs can make a schema of exponential size
MAX_ITEMS = 100
MAX_LENGTH = 10_000
MAX_TEXT = 50_000  # characters of the text that are looked at for each value
#: Keywords that no value can be promised to meet without understanding; "pattern" could also hang the matcher.
UNSUPPORTED = ("pattern", "patternProperties", "not", "if", "contains", "propertyNames", "multipleOf")
_SIMPLE = ("string", "number", "integer", "boolean")
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,6})?")
_FORMATS = {
    "email": (re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"), "nobody@example.org"),
    "uri": (re.compile(r"https?://[^\s<>\"]{1,2000}"), "https://example.org/"),
    "date": (re.compile(r"\d{4}-\d\d-\d\d"), "1970-01-01"),
    "date-time": (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)"), "1970-01-01T00:00:00Z"),
}


def fill(schema: Mapping[str, Any], text: str, glosses: Mapping[str, str] = MappingProxyType({})) -> Any:
    """A value that ``schema`` allows, as far as possible from ``text``; raises ProviderRefused for what it can't do.

    ``glosses`` say in other words what an option of an ``enum`` stands for. What may be null is null where the text
    says nothing of it.
    """
    try:
        return _Filling(schema, text[:MAX_TEXT], glosses).value(schema, "", 0)
    except (TypeError, ValueError, AttributeError, LookupError):
        raise ProviderRefused("The JSON schema is not valid.") from None


def _chosen_by(item: Any) -> str:
    """The property of a list's objects that has options: one object is made for each that fits."""
    properties = item.get("properties") if isinstance(item, Mapping) else None
    if not isinstance(properties, Mapping):
        return ""
    return next((name for name, part in properties.items() if isinstance(part, Mapping) and part.get("enum")), "")


class _Filling:
    def __init__(self, root: Mapping[str, Any], text: str, glosses: Mapping[str, str]) -> None:
        self.root = root
        self.text = text
        self.glosses = glosses
        self.sentences = words.sentences(text)
        self.said = Counter(words.words(text))
        self.values = 0

    def value(self, schema: Any, name: str, depth: int) -> Any:
        self.values += 1
        if depth > MAX_DEPTH or self.values > MAX_VALUES:
            raise ProviderRefused("The JSON schema is too large for the offline provider.")
        if not isinstance(schema, Mapping):
            schema = {}
        if found := [keyword for keyword in UNSUPPORTED if keyword in schema]:
            raise ProviderRefused(f"The offline provider can't meet {found[0]!r} in a JSON schema.")
        if "const" in schema:
            return schema["const"]
        if options := schema.get("enum"):
            return self._fitting(options)
        if "$ref" in schema:
            return self.value(self._referred(schema["$ref"]), name, depth + 1)
        if schema.get("allOf"):
            merged = {key: value for part in schema["allOf"] for key, value in part.items()}
            return self.value(merged, name, depth + 1)
        for keyword in ("anyOf", "oneOf"):
            if options := schema.get(keyword):
                wanted = next((part for part in options if part.get("type") != "null"), options[0])
                if wanted.get("type") in _SIMPLE and any(part.get("type") == "null" for part in options):
                    wanted = {**wanted, "type": [wanted["type"], "null"]}
                return self.value(wanted, name, depth + 1)
        return self._typed(schema, name, depth)

    def _typed(self, schema: Mapping[str, Any], name: str, depth: int) -> Any:
        about = f"{name} {schema.get('description', '')}"
        kind = self._kind(schema, name, about)
        match kind:
            case "object":
                properties = schema.get("properties") or {}
                required = [key for key in schema.get("required") or () if key not in properties]
                named = {key: self.value(part, key, depth + 1) for key, part in properties.items()}
                return named | {key: self.value({}, key, depth + 1) for key in required}
            case "array":
                return self._items(schema, name, depth)
            case "integer" | "number":
                return self._number(schema, name, about, whole=kind == "integer")
            case "boolean":
                return bool(re.search(r"\b(true|yes|on)\b", self._labelled(name), re.IGNORECASE))
            case "null":
                return None
            case "string":
                return self._string(schema, name, about)
        raise ProviderRefused(f"The offline provider knows no JSON schema type {str(kind)[:40]!r}.")

    def _referred(self, reference: Any) -> Any:
        node: Any = self.root
        path = reference.removeprefix("#").split("/")[1:] if isinstance(reference, str) else [""]
        for step in path:
            node = node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
        if not isinstance(node, Mapping) or not str(reference).startswith("#"):
            raise ProviderRefused("A $ref in the JSON schema leads nowhere.")
        return node

    def _kind(self, schema: Mapping[str, Any], name: str, about: str) -> Any:
        """The type to make; of several the first, but null where the text says nothing of what may be null."""
        kind = schema.get("type") or ("object" if "properties" in schema else "string")
        if not isinstance(kind, list):
            return kind
        first = next((each for each in kind if each != "null"), "null")
        silent = "null" in kind and name and first in _SIMPLE and not self._speaks_of(name, about, schema)
        return "null" if silent else first

    def _speaks_of(self, name: str, about: str, schema: Mapping[str, Any]) -> bool:
        """Whether the text has a value for this name: labelled, of its format, or in a sentence about it."""
        if known := _FORMATS.get(schema.get("format", "")):
            return bool(known[0].search(self.text))
        return bool(self._labelled(name) or self._about(about))

    def _about(self, about: str) -> list[words.Sentence]:
        return words.relevant(words.content_words(about), self.sentences, limit=1)

    def _score(self, option: Any) -> int:
        """How often the text has the words of an option, or of what it stands for."""
        meant = {*words.words(str(option)), *words.content_words(self.glosses.get(str(option), ""))}
        return sum(self.said[word] for word in meant)

    def _fitting(self, options: list[Any]) -> Any:
        """The option whose words stand most often in the text; the first of equals."""
        return max(options, key=self._score)

    def _all_fitting(self, options: list[Any], least: int, most: int) -> list[Any]:
        """Those options whose words stand in the text, the best first; more where so many are wanted."""
        ranked = sorted(options, key=lambda option: -self._score(option))
        return ranked[: min(most, max(least, sum(self._score(option) > 0 for option in options)))]

    def _items(self, schema: Mapping[str, Any], name: str, depth: int) -> list[Any]:
        least, most = schema.get("minItems", 0), schema.get("maxItems", MAX_ITEMS)
        if least > MAX_ITEMS:
            raise ProviderRefused(f"The offline provider makes arrays of at most {MAX_ITEMS} items.")
        item = schema.get("items") or {}
        if isinstance(item, Mapping) and item.get("enum"):
            return self._all_fitting(item["enum"], least, most)
        if chosen := _chosen_by(item):
            options = self._all_fitting(item["properties"][chosen]["enum"], least, most)
            return [{**self.value(item, name, depth + 1), chosen: option} for option in options]
        if isinstance(item, Mapping) and item.get("type", "string") == "string" and not item.get("format"):
            found = words.keywords(self.text, limit=min(most, max(least, 5)))
            return found + [f"{name or 'item'} {number}" for number in range(len(found) + 1, least + 1)]
        return [self.value(item, name, depth + 1) for _ in range(min(max(1, least), most))]

    def _number(self, schema: Mapping[str, Any], name: str, about: str, *, whole: bool) -> float | int:
        near = " ".join(sentence.text for sentence in self._about(about))
        match = _NUMBER.search(self._labelled(name)) or _NUMBER.search(near) or _NUMBER.search(self.text)
        found = float(match[0]) if match else 0.0
        step = 1.0 if whole else 0.5
        low = [schema[key] + extra for key, extra in (("minimum", 0), ("exclusiveMinimum", step)) if key in schema]
        high = [schema[key] - extra for key, extra in (("maximum", 0), ("exclusiveMaximum", step)) if key in schema]
        found = float(min([max([found, *low]), *high]))
        return math.ceil(found) if whole else found

    def _string(self, schema: Mapping[str, Any], name: str, about: str) -> str:
        if known := _FORMATS.get(schema.get("format", "")):
            match = known[0].search(self.text)
            return match[0] if match else known[1]
        found = self._labelled(name)
        if not found:
            chosen = self._about(about) or words.central(self.sentences, limit=1)
            found = chosen[0].text if chosen else self.text.strip()
        if schema.get("minLength", 0) > MAX_LENGTH:
            raise ProviderRefused(f"The offline provider makes texts of at most {MAX_LENGTH} characters.")
        found = found.ljust(schema.get("minLength", 0), ".")
        return found[: schema["maxLength"]] if "maxLength" in schema else found

    def _labelled(self, name: str) -> str:
        """What stands in the text after ``name:``, to the end of the line."""
        if not name:
            return ""
        label = re.escape(name).replace("_", r"[_\s-]?")
        match = re.search(rf"(?im)(?:^|[\s,;(]){label}\s*[:=]\s*([^\n,;]{{1,500}})", self.text)
        return match[1].strip() if match else ""
