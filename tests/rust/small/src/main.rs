//! A small program with two crates that take some time to compile.

fn main() {
    let words = regex::Regex::new(r"\w+").map(|pattern| pattern.find_iter("one two three").count());
    let text = unicode_bidi::BidiInfo::new("abc אבג", None);
    println!("small: {words:?} words, {} paragraphs", text.paragraphs.len());
}
