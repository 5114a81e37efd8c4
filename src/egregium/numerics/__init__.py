"""Derivatives of callables, stable functions and linear algebra: torch in, torch out, nothing about geometry."""
