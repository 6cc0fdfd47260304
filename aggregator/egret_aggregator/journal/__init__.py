"""The heart of the centre: committed entries, in order, with a durable position per consumer."""
