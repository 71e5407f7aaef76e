"""The change document: plan, site, estimates and journal head → one frozen document → Markdown or one HTML file.

    made = document(plan, site=…, estimates=…, journal=…)      # pure: values in, value out
    text = render(made, Templates.of(site_rules), "html")       # Jinja2 templates, shipped in `runbooks/`

The same values give the same bytes: no clock, no network, no password is read.
"""
