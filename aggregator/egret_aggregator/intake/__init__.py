"""From the broker to the journal: batches in, refused ones named, acks out after the commit."""
