"""Devices of any spec as options or configuration of engines that do not read specs."""
