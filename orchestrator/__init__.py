"""The product: sequences the servers through their ports, and shows a person what it wants to do."""
