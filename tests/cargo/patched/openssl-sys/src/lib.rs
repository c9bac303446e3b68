// Stands for a patched openssl-sys.
