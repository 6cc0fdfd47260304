"""Judgement: a fold in event time from readings and ticks to condition events."""
