//! Calls every native library once, so that the linker keeps it and the machine runs it.

use std::io::Read;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = b"native code of another architecture does not load".repeat(20);

    let ring = ring::digest::digest(&ring::digest::SHA256, &text);
    let aws_lc = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &text);
    assert_eq!(ring.as_ref(), aws_lc.as_ref());
    println!("ring and aws-lc agree");

    let packed = zstd::encode_all(text.as_slice(), 3)?;
    assert_eq!(text, zstd::decode_all(packed.as_slice())?);
    println!("zstd: {} of {} bytes", packed.len(), text.len());

    let mut packed = Vec::new();
    flate2::read::ZlibEncoder::new(text.as_slice(), flate2::Compression::best()).read_to_end(&mut packed)?;
    println!("zlib: {} of {} bytes", packed.len(), text.len());

    println!("librdkafka {}", rdkafka::util::get_rdkafka_version().1);
    let (major, minor, patch) = git2::Version::get().libgit2_version();
    println!("libgit2 {major}.{minor}.{patch}");

    let name = libgssapi::name::Name::new(b"host@localhost", Some(libgssapi::oid::GSS_NT_HOSTBASED_SERVICE))?;
    println!("krb5: {name}");
    Ok(())
}
