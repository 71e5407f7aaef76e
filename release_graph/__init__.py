"""Facts about OpenStack releases and the upgrade hops between them, as TOML. Data only; `upgrader.graph` reads it."""
