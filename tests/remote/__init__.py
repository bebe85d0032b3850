"""The bucket: what every remote promises, what S3 and directories promise beside it, and what faults may do."""
