"""The numbers that the users of the five older systems knew (FEATURES, "Presets of the settings").

A preset fills what nobody says; every explicit key wins.
"""

from collections.abc import Mapping
from typing import Final

PRESETS: Final[Mapping[str, dict[str, object]]] = {
    "qe-summary": {
        "retention": {
            "enabled": True,
            "default_ttl_days": 30,
            "keep_latest_n": 10,
            "schedule": "0 2 * * *",
        },
        "limits": {"max_artifact_size": "100 MiB"},
    },
    "qe-fleet": {
        "retention": {
            "enabled": True,
            "default_ttl_days": 90,
            "keep_latest_n": 100,
            "types": {"test-results": 30, "coverage-report": 90, "security-findings": 365},
        },
    },
    "agent": {
        "retention": {"enabled": True, "types": {"diff": 30, "build-logs": 7, "test-results": 14}},
        "limits": {"quota": "100 GB", "warn_threshold": 0.8},
    },
    "signed": {
        "limits": {"max_artifact_size": "100 MiB"},
        "signing": {"require": True},
    },
    # content types are kept everywhere; what this preset promises is that nothing goes by itself
    "documents": {"retention": {"default_ttl_days": 0, "keep_latest_n": 0}},
}
