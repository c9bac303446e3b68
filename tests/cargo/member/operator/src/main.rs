fn main() {
    library::ready();
}
