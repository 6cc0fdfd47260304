"""Who may speak to the broker: the city's CA, accounts and their topics, bundles, renewals."""
