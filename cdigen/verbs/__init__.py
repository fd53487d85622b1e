"""What the verbs do, one module a verb."""
