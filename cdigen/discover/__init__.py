"""From a host to the facts that a spec is built from, one module a kind of artifact."""
