"""What a daemon behind a mount is told by the command that starts it."""

from pathlib import Path

from mountfs.config.schema import Settings
from mountfs.daemon.service import Service, service_of

SETTINGS = {
    "layouts": ["{spec}/{task}"],
    "types": {"notes": ["*.note"]},
    "tags": {"team": "payments"},
    "retention": {
        "default_ttl_days": 30,
        "types": {"build-logs": 7},
        "keep_latest_n": 3,
        "group_by": ["type", "branch"],
    },
}


def test_a_daemon_in_the_background_serves_what_the_settings_say() -> None:
    settings = Settings.model_validate(SETTINGS)
    told = service_of(settings, mountpoint=Path("/mnt"), state=Path("/state"))
    heard = Service.from_json(told.as_json())
    assert heard.options.layouts == ("{spec}/{task}",)
    assert heard.options.retention == settings.retention.policy()
    assert heard.options.retention_schedule == "0 2 * * *"
    assert heard.options.types == told.options.types
    assert heard.as_json() == told.as_json()
