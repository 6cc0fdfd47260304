"""One bus: a transaction with its one right reply, the plan of reads, and whose turn is next."""
