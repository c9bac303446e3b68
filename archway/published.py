LOCK = "images.lock.toml"
