"""Specs on the disk, whoever wrote them: how engines read them, and which one gives a device."""
