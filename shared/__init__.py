"""The safety kernel: flat, each file one noun.

A file enters if the gate needs it, or if both a server and the orchestrator do, and it is named by a noun of
the domain. Nothing in here imports `servers` or `orchestrator`.
"""
