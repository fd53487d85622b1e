"""The driver's device nodes: which there should be, whether they are right, and how they are made."""
