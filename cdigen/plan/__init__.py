"""From the facts of a host to a spec; pure."""
