# Puts Keystone's keys back from a tar on standard input. A key that is not in the tar stays: it only helps newer
# tokens to be read. Works on a stopped container too, because the keys lie in a volume.
base64 -d | engine cp - keystone:/etc/keystone
