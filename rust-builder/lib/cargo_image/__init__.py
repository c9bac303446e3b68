"""The command cargo-image: builds the binaries of a Cargo project for several platforms, without emulation."""
