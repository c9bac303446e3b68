// Debian's Go fetches the Go of GO_VERSION, as a module; go.sum says which files it may be. For another version write its
// number into image.toml, and the two lines here that this prints (on a machine with Go, twice, for amd64 and arm64):
//   go mod download -json golang.org/toolchain@v0.0.1-go1.26.11.linux-amd64
module go-builder

go 1.24
