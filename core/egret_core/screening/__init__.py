"""Screening: streaming checks from a value to a value with its quality, in QARTOD words."""
