"""An opened host, whether its driver is up, and the plans that are made of its one scan."""
