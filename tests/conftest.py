"""One profile for the whole suite: hypothesis tries the same cases every time."""

from hypothesis import settings

settings.register_profile("same-every-time", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("same-every-time")
