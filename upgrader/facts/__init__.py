"""Look at the cloud → CloudFacts. Never changes anything.

`observe.observe` asks every host, `reading.read_release` names the release, `binding.bind` and `drift` tie a
plan to what was seen. Import from the modules: this package itself stays empty so that it costs nothing.
"""
