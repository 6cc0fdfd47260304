"""Condition events and people's acts, folded into warnings on record."""
