"""Use cases of one store: names, open files, attributes, settling, recovery. Plain, synchronous Python.

Read `store.py` for how the parts are put together, then `ledger.py`, `live.py`, `files.py`, `publishing.py`,
`tree.py`, `settler.py`.
"""
