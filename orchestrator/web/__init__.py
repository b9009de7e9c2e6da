"""The Gatekeeper: pages for people, and the address that vendors' webhooks arrive at."""
