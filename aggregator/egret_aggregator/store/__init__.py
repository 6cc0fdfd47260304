"""Time series behind one small interface."""
