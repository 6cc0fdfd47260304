"""The centre: journal, time series, judgement, warnings and the API."""
