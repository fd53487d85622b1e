"""The chain from a GPU to a container, link by link: what is there, and what to type where it is not right."""
