// A procedural macro runs in the compiler.
