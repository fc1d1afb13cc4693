"""What a host's ``wp_ai_tools`` modules import to give models tools; see docs/tools.md."""

from __future__ import annotations

from django_wp_ai.gateway.tools.call import ToolError
from django_wp_ai.gateway.tools.registry import tool
from django_wp_ai.gateway.tools.signature import ToolContext

__all__ = ["ToolContext", "ToolError", "tool"]
