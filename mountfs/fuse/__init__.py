"""The kernel's words and ours: requests, errno, inode attributes, handles. The only room that imports pyfuse3.

`operations.py` answers requests, `attributes.py` fills stat structures, `waiting.py` keeps the loop free,
`session.py` mounts and unmounts.
"""
