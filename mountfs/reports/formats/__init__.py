"""One module a family of formats: how to tell it, and how to read it. `detecting` has the order of them all.

A module is imported when its turn comes: the child that reads a JUnit file knows nothing of SARIF.
"""
