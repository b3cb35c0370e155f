"""Codecs: between data in their own units and the numbers and categories that a network sees."""

from collections.abc import Mapping
from typing import Any

from sfumato.data.codecs.images import ImageCodec
from sfumato.data.codecs.points import PointCodec
from sfumato.data.codecs.table import TableCodec

Codec = PointCodec | ImageCodec | TableCodec


def codec_from_dict(plain: Mapping[str, Any]) -> Codec:
    """The codec that `to_dict` described.

    Raises:
        RunError: if it describes none.
    """
    if isinstance(plain, Mapping) and "pictures" in plain:
        return ImageCodec.from_dict(plain)
    if isinstance(plain, Mapping) and "table" in plain:
        return TableCodec.from_dict(plain)
    return PointCodec.from_dict(plain)
