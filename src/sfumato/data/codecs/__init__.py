"""Codecs: between data in their own units and the numbers and categories that a network sees."""
