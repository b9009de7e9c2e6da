"""One folder per vendor; no folder knows another, and none knows the orchestrator."""
