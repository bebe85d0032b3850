"""What holds on a real mount: ordinary file-system behaviour first, then what only mountfs promises.

Run with `MOUNTFS_TEST_PLAIN=1` the same tests work on a plain directory, which proves the tests.
"""
