# Asks one database server for the public addresses of Keystone, one line each: region, address. Comes after
# questions.sh. Changes nothing.
question_keystone_public() { cat <<'SQL'
-- upgrader: keystone-public
SELECT COALESCE(e.region_id, ''), e.url FROM keystone.endpoint AS e JOIN keystone.service AS s ON s.id = e.service_id
WHERE s.type = 'identity' AND e.interface = 'public' AND e.enabled = 1 AND s.enabled = 1 ORDER BY e.region_id, e.url;
SQL
}
ask keystone-public
