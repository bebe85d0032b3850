"""A stateful model test: random operations on a mount and on a plain directory must tell the same story.

Read in this order: `tree` (one directory under operation), `steps`, `content_steps` and `name_steps` (the
operations), `walk` (how they are drawn), `acknowledged` (what a killed daemon must still have),
`filesystem_model` (both sides compared), `shrinking` (a failure made short), `test_model_mount` (the tests,
and the long run as a program).
"""
