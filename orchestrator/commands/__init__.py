"""The commands of `swarm`, by what they are about."""
