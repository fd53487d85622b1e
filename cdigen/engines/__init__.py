"""The container engines of a host: which there are, of which version, and what they are set to."""
