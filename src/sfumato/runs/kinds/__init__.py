"""The kinds of data: a fourth is a module here, with its codec and its figures."""

from collections.abc import Mapping

from sfumato.runs.kinds import images, points, table
from sfumato.runs.kinds.kind import Kind, Prepared, RowsLike

KINDS: Mapping[str, Kind] = {"points": points, "images": images, "table": table}

__all__ = ["KINDS", "Kind", "Prepared", "RowsLike"]
