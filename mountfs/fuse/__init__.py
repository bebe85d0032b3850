"""The kernel's words and ours: requests, errno, inode attributes, handles. The only room that imports pyfuse3.

`operations.py` puts together what answers requests: `names.py`, `inodes.py`, `content.py`, `listing.py`, each on
`answering.py`. `attributes.py` fills stat structures, `waiting.py` keeps the loop free, `session.py` mounts and
unmounts.
"""
