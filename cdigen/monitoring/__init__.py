"""What a check found, as programs that watch hosts want to be told: a form each, with its exit code."""
