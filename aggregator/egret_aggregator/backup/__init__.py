"""A copy of the whole centre, made while it runs, and put back into an empty folder."""
