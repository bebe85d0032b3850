"""What users were promised, each promise shown by what a user does: in a shell, from Python, with settings.

Only what no other test shows is here; `tests/README.md` says for each promise (F-001 …) which tests show it.
"""
