"""Ports for everything Hearth keeps, and one folder per engine."""
