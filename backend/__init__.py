"""Hearth: a local-first agent server that speaks the OpenAI API."""

__version__ = "0.1.0"
