"""Bytes in, values out: one module a format.

Every parser here is pure and total: any input gives a value or `cdigen.errors.ParseError`, whose message is
the reason. No parser opens a path; whoever read the bytes knows where they came from and says so.
"""
