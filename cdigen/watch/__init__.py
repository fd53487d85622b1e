"""Keeping a spec true of its host: what is looked at, when, and what is told to others."""
