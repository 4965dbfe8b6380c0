"""Settings shared by the tests of the core and of the plugins."""

from hypothesis import settings

# A loaded machine must not fail a test: nothing here is a timed test.
settings.register_profile("seqebm", deadline=None)
settings.load_profile("seqebm")
