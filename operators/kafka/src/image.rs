//! Which image the brokers run.

use crate::catalogue::Catalogue;
use crate::crd::ImageSpec;
use crate::error::Refusal;

const UNKNOWN: &str = "UnknownProductVersion";
const INVALID: &str = "InvalidImage";

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    pub reference: String,
    /// Not known for a custom image that does not say it.
    pub version: Option<String>,
}

/// Follows `spec.image`: `custom`, else `repo`, else the catalogue.
pub fn select(spec: &ImageSpec, catalogue: &Catalogue) -> Result<Selected, Refusal> {
    for version in [&spec.product_version, &spec.release_version].into_iter().flatten() {
        check_version(version)?;
    }
    for name in [&spec.custom, &spec.repo].into_iter().flatten() {
        check_name(name)?;
    }
    if let Some(custom) = &spec.custom {
        return Ok(Selected { reference: custom.clone(), version: spec.product_version.clone() });
    }
    match &spec.repo {
        Some(repo) => from_repository(repo, spec, catalogue),
        None => from_catalogue(spec, catalogue),
    }
}

fn from_repository(repo: &str, spec: &ImageSpec, catalogue: &Catalogue) -> Result<Selected, Refusal> {
    let default = catalogue.default_image();
    let Some(version) = spec.product_version.as_ref().or(default.map(|image| &image.version)) else {
        return Err(Refusal::new(UNKNOWN, "spec.image.repo needs productVersion: the operator's catalogue is empty"));
    };
    let known = catalogue.find(version, None).or(default);
    let Some(release) = spec.release_version.as_ref().or(known.map(|image| &image.release)) else {
        return Err(Refusal::new(
            INVALID,
            "spec.image.repo needs releaseVersion: the operator's catalogue is empty and has no release of its own",
        ));
    };
    let repo = repo.trim_end_matches('/');
    Ok(Selected {
        reference: format!("{repo}/kafka:{}-{}", tag(version), tag(release)),
        version: Some(version.clone()),
    })
}

fn from_catalogue(spec: &ImageSpec, catalogue: &Catalogue) -> Result<Selected, Refusal> {
    let release = spec.release_version.as_deref();
    let image = match (&spec.product_version, catalogue.default_image()) {
        (Some(version), _) => catalogue.find(version, release),
        (None, Some(default)) => catalogue.find(&default.version, release),
        (None, None) => None,
    };
    match image {
        Some(image) => Ok(Selected { reference: image.pinned(), version: Some(image.version.clone()) }),
        None => Err(Refusal::new(UNKNOWN, unknown(spec, catalogue))),
    }
}

fn unknown(spec: &ImageSpec, catalogue: &Catalogue) -> String {
    let wanted = match (&spec.product_version, &spec.release_version) {
        (Some(version), Some(release)) => format!("there is no Kafka {version} of release {release}"),
        (Some(version), None) => format!("there is no Kafka {version}"),
        (None, Some(release)) => format!("there is no release {release} of the default version"),
        (None, None) => "spec.image says nothing, and there is no default".to_owned(),
    };
    let known = catalogue.summary();
    let (has, choose) = match known.as_str() {
        "" => ("is empty".to_owned(), "Name"),
        some => (format!("has {some}"), "Choose one of these with spec.image.productVersion, name"),
    };
    format!(
        "{wanted}: the operator's catalogue {has}. {choose} a repository with spec.image.repo, or an image with \
         spec.image.custom"
    )
}

/// A version as a part of a tag, where `+` is not allowed.
fn tag(version: &str) -> String {
    version.replace('+', "-")
}

/// The API server takes any text for an image, and the nodes of the Kubernetes cluster fail with it.
fn check_name(name: &str) -> Result<(), Refusal> {
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(Refusal::new(
            INVALID,
            format!("spec.image: {name:?} cannot be the name of an image or repository"),
        ));
    }
    Ok(())
}

/// The schema has the same rule; objects that are older than it were never checked.
fn check_version(version: &str) -> Result<(), Refusal> {
    let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let other = |byte: u8| first(byte) || matches!(byte, b'.' | b'+' | b'-');
    let bytes = version.as_bytes();
    let good =
        bytes.len() <= 63 && bytes.first().is_some_and(|&byte| first(byte)) && bytes.iter().all(|&byte| other(byte));
    if good {
        Ok(())
    } else {
        Err(Refusal::new(
            INVALID,
            format!("spec.image: {version:?} cannot be a version: use letters, digits, . _ + - (63 at most)"),
        ))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::catalogue::tests::{DIGEST, entry};

    fn catalogue() -> Catalogue {
        Catalogue::parse(&(entry("4.4.0", "0.1.0", "default = true") + &entry("3.9.2", "0.2.0", ""))).unwrap()
    }

    fn chosen(spec: Value, catalogue: &Catalogue) -> Result<Selected, Refusal> {
        select(&serde_json::from_value(spec).unwrap(), catalogue)
    }

    fn reference(spec: Value) -> String {
        chosen(spec, &catalogue()).unwrap().reference
    }

    /// A custom image is used as it is, whatever else is given.
    #[test]
    fn custom() {
        let spec = json!({"custom": "my.example/k@sha256:1", "repo": "x", "productVersion": "1.2"});

        let selected = chosen(spec, &catalogue()).unwrap();

        assert_eq!("my.example/k@sha256:1", selected.reference);
        assert_eq!(Some("1.2".to_owned()), selected.version);
    }

    /// A custom image needs no version and no catalogue.
    #[test]
    fn custom_alone() {
        let selected = chosen(json!({"custom": "my.example/k:1"}), &Catalogue::default()).unwrap();

        assert_eq!(Selected { reference: "my.example/k:1".to_owned(), version: None }, selected);
    }

    /// A repository, a version and a release make a tag, without any catalogue.
    #[test]
    fn repository() {
        let spec = json!({"repo": "my.example:5000/org/", "productVersion": "4.4.0", "releaseVersion": "9.0"});

        let selected = chosen(spec, &Catalogue::default()).unwrap();

        assert_eq!("my.example:5000/org/kafka:4.4.0-9.0", selected.reference);
    }

    /// What a repository leaves out comes from the catalogue: the version's own release, else the default's.
    #[test]
    fn repository_defaults() {
        assert_eq!("r/kafka:4.4.0-0.1.0", reference(json!({"repo": "r"})));
        assert_eq!("r/kafka:3.9.2-0.2.0", reference(json!({"repo": "r", "productVersion": "3.9.2"})));
        assert_eq!("r/kafka:5.0.0-0.1.0", reference(json!({"repo": "r", "productVersion": "5.0.0"})));
    }

    /// A plus sign becomes a minus sign in a tag.
    #[test]
    fn plus() {
        let spec = json!({"repo": "r", "productVersion": "4.4.0+a", "releaseVersion": "1+b"});

        assert_eq!("r/kafka:4.4.0-a-1-b", reference(spec));
    }

    /// A repository with nothing to complete it is refused.
    #[test]
    fn repository_incomplete() {
        let empty = Catalogue::default();

        let no_version = chosen(json!({"repo": "r"}), &empty).unwrap_err();
        let no_release = chosen(json!({"repo": "r", "productVersion": "4.4.0"}), &empty).unwrap_err();

        assert!(no_version.message.contains("needs productVersion"));
        assert!(no_release.message.contains("needs releaseVersion"));
    }

    /// Without a repository, the image comes from the catalogue, by digest.
    #[test]
    fn digest() {
        let expected = format!("registry.example:5000/archway/kafka@{DIGEST}");

        assert_eq!(expected, reference(json!({})));
        assert_eq!(expected, reference(json!({"productVersion": "3.9.2"})));
        assert_eq!(expected, reference(json!({"productVersion": "4.4.0", "releaseVersion": "0.1.0"})));
    }

    /// The default version is reported, so that it can be seen which one runs.
    #[test]
    fn default_version() {
        assert_eq!(Some("4.4.0".to_owned()), chosen(json!({}), &catalogue()).unwrap().version);
    }

    /// A version that the catalogue does not have is refused with those that it has, and the ways out.
    #[test]
    fn unknown_version() {
        let refusal = chosen(json!({"productVersion": "4.5.0"}), &catalogue()).unwrap_err();

        assert_eq!("UnknownProductVersion", refusal.reason);
        for part in ["Kafka 4.5.0", "4.4.0 (release 0.1.0), 3.9.2 (release 0.2.0)", "spec.image.repo", "custom"] {
            assert!(refusal.message.contains(part), "{part}: {}", refusal.message);
        }
    }

    /// A release that the catalogue does not have is not replaced by another one.
    #[test]
    fn unknown_release() {
        let refusal = chosen(json!({"productVersion": "4.4.0", "releaseVersion": "7"}), &catalogue()).unwrap_err();

        assert!(refusal.message.contains("of release 7"));
    }

    /// An empty catalogue says so.
    #[test]
    fn empty_catalogue() {
        let refusal = chosen(json!({}), &Catalogue::default()).unwrap_err();

        assert_eq!(
            "spec.image says nothing, and there is no default: the operator's catalogue is empty. Name a repository with \
             spec.image.repo, or an image with spec.image.custom",
            refusal.message
        );
    }

    /// A name that is empty or has space in it is refused.
    #[test]
    fn odd_name() {
        for spec in [json!({"custom": " x"}), json!({"custom": ""}), json!({"repo": "a b"})] {
            assert_eq!("InvalidImage", chosen(spec.clone(), &catalogue()).unwrap_err().reason, "{spec}");
        }
    }

    /// What would not fit into a tag is refused.
    #[test]
    fn odd_version() {
        for version in ["", "-1", "a b", "1/2", &"1".repeat(64)] {
            let refusal = chosen(json!({"repo": "r", "productVersion": version}), &catalogue()).unwrap_err();

            assert_eq!("InvalidImage", refusal.reason, "{version}");
        }
    }
}
