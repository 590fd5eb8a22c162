"""Killable worker processes: limits in, result or a reason out."""
