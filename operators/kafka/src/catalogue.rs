//! The catalogue: the product images, by digest, that this operator was released with.

use std::cmp::Reverse;
use std::io::ErrorKind;
use std::path::Path;

use serde::Deserialize;

use crate::error::Error;

const PRODUCT: &str = "kafka";

#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// The newest version comes first.
    images: Vec<Image>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Image {
    name: String,
    pub version: String,
    pub release: String,
    #[serde(default)]
    default: bool,
    reference: String,
    digest: String,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    image: Vec<Image>,
}

impl Catalogue {
    /// Reads the file. One that is not there is an empty catalogue: `spec.image` can still name images.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let broken = |message: String| Error::Catalogue { path: path.to_owned(), message };
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(broken),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(broken(error.to_string())),
        }
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let mut images: Vec<_> = file.image.into_iter().filter(|image| image.name == PRODUCT).collect();
        for image in &images {
            if !is_digest(&image.digest) {
                return Err(format!(
                    "{} {} has the digest {:?}, which is not sha256: and 64 hexadecimal digits",
                    image.name, image.version, image.digest
                ));
            }
        }
        images.sort_by_key(|image| Reverse((order(&image.version), order(&image.release))));
        Ok(Self { images })
    }

    /// The one marked as default, else the newest.
    pub fn default_image(&self) -> Option<&Image> {
        self.images.iter().find(|image| image.default).or(self.images.first())
    }

    /// The image of a version; of its newest release, if none is asked for.
    pub fn find(&self, version: &str, release: Option<&str>) -> Option<&Image> {
        self.images
            .iter()
            .find(|image| image.version == version && release.is_none_or(|release| image.release == release))
    }

    /// What there is, for messages: `4.4.0 (release 0.1.0), 3.9.2 (release 0.1.0)`.
    pub fn summary(&self) -> String {
        let known: Vec<_> =
            self.images.iter().map(|image| format!("{} (release {})", image.version, image.release)).collect();
        known.join(", ")
    }

    pub fn len(&self) -> usize {
        self.images.len()
    }
}

impl Image {
    /// The image by digest. The tag is left out: it may move, and the digest says everything.
    pub fn pinned(&self) -> String {
        format!("{}@{}", repository(&self.reference), self.digest)
    }
}

/// A reference without tag and digest. The colon of a port stands before the last slash.
fn repository(reference: &str) -> &str {
    let name = reference.split_once('@').map_or(reference, |(name, _)| name);
    let path = name.rfind('/').map_or(0, |slash| slash + 1);
    name[path..].find(':').map_or(name, |colon| &name[..path + colon])
}

fn is_digest(text: &str) -> bool {
    text.strip_prefix("sha256:")
        .is_some_and(|hex| hex.len() == 64 && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// A part of a version. `1.0-dev` comes before `1.0`, and that before `1.0.1`.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Text(String),
    End,
    Number(u64),
}

fn order(version: &str) -> Vec<Part> {
    let part = |text: &str| text.parse().map_or_else(|_| Part::Text(text.to_owned()), Part::Number);
    version.split(['.', '-', '+', '_']).map(part).chain([Part::End]).collect()
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    pub fn entry(version: &str, release: &str, more: &str) -> String {
        format!(
            "[[image]]\nname = \"kafka\"\nversion = \"{version}\"\nrelease = \"{release}\"\n{more}\n\
             reference = \"registry.example:5000/archway/kafka:{version}-{release}\"\ndigest = \"{DIGEST}\"\n\
             [image.members]\n\"linux/amd64\" = \"{DIGEST}\"\n"
        )
    }

    /// The image is named by repository and digest; the port of the registry is kept, the tag is not.
    #[test]
    fn pinned() {
        let catalogue = Catalogue::parse(&entry("4.4.0", "0.1.0", "")).unwrap();

        assert_eq!(
            format!("registry.example:5000/archway/kafka@{DIGEST}"),
            catalogue.default_image().unwrap().pinned()
        );
    }

    /// The default is the marked entry, not the newest.
    #[test]
    fn marked() {
        let text = entry("4.4.0", "0.1.0", "") + &entry("3.9.2", "0.1.0", "default = true");

        assert_eq!("3.9.2", Catalogue::parse(&text).unwrap().default_image().unwrap().version);
    }

    /// Without a mark, the newest is the default: 4.10 is newer than 4.9, and 4.10.0-rc1 is not newer than 4.10.0.
    #[test]
    fn newest() {
        let text = entry("4.9.0", "1", "") + &entry("4.10.0-rc1", "1", "") + &entry("4.10.0", "1", "");

        assert_eq!("4.10.0", Catalogue::parse(&text).unwrap().default_image().unwrap().version);
    }

    /// A version without a release means its newest release.
    #[test]
    fn releases() {
        let text = entry("4.4.0", "0.9.0", "") + &entry("4.4.0", "0.10.0", "");
        let catalogue = Catalogue::parse(&text).unwrap();

        assert_eq!("0.10.0", catalogue.find("4.4.0", None).unwrap().release);
        assert_eq!("0.9.0", catalogue.find("4.4.0", Some("0.9.0")).unwrap().release);
        assert!(catalogue.find("4.4.0", Some("0.8.0")).is_none());
    }

    /// Images of other products do not count.
    #[test]
    fn others() {
        let text = entry("4.0.1", "0.1.0", "").replace("name = \"kafka\"", "name = \"hive\"");

        assert_eq!(0, Catalogue::parse(&text).unwrap().len());
    }

    /// A file that is not there, or that has nothing in it, is an empty catalogue.
    #[test]
    fn empty() {
        assert_eq!(0, Catalogue::load(Path::new("/nonexistent/images.lock.toml")).unwrap().len());
        assert_eq!(0, Catalogue::parse("").unwrap().len());
    }

    /// A broken file is told, with the place or with the entry.
    #[test]
    fn broken() {
        assert!(Catalogue::parse("[[image]]\nname = \"kafka\"").unwrap_err().contains("version"));
        assert!(Catalogue::parse("[[image").unwrap_err().contains("line 1"));

        let text = entry("4.4.0", "0.1.0", "").replace(DIGEST, "sha256:short");

        assert!(Catalogue::parse(&text).unwrap_err().contains("kafka 4.4.0 has the digest"));
    }
}
