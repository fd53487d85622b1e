"""The Container Device Interface specification, knowing nothing of any vendor or host.

The source throughout is SPEC.md of github.com/cncf-tags/container-device-interface, versions 0.3.0 to 1.1.0,
and the rules that the engines' shared library adds to it.
"""
