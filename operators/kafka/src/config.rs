//! `server.properties`: what all nodes share. What differs between them is added by `start.sh`.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::error::Refusal;

pub const CLIENT_PORT: i32 = 9092;
pub const CONTROLLER_PORT: i32 = 9093;
pub const DATA: &str = "/var/lib/kafka";

const INVALID: &str = "InvalidConfig";

/// Keys that the operator writes, or that would contradict what it writes.
const RESERVED: [&str; 16] = [
    "advertised.listeners",
    "broker.id",
    "broker.id.generation.enable",
    "controller.listener.names",
    "controller.quorum.bootstrap.servers",
    "controller.quorum.voters",
    "inter.broker.listener.name",
    "listener.security.protocol.map",
    "listeners",
    "log.dir",
    "log.dirs",
    "metadata.log.dir",
    "node.id",
    "process.roles",
    "security.inter.broker.protocol",
    "zookeeper.connect",
];

/// The file, for a cluster whose nodes are `PREFIX-0.DOMAIN`, `PREFIX-1.DOMAIN`, ...
pub fn server_properties(
    prefix: &str,
    domain: &str,
    controllers: i32,
    replicas: i32,
    overrides: &BTreeMap<String, String>,
) -> Result<String, Refusal> {
    check(overrides)?;
    let voters: Vec<_> = (0..controllers).map(|id| format!("{id}@{prefix}-{id}.{domain}:{CONTROLLER_PORT}")).collect();
    let mut lines = defaults(replicas);
    lines.extend(overrides.iter().map(|(key, value)| (key.clone(), value.clone())));
    for (key, value) in [
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", &voters.join(",")),
        ("inter.broker.listener.name", "PLAINTEXT"),
        ("listener.security.protocol.map", "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT"),
        // A folder in the volume: its root has lost+found, which Kafka takes for a broken partition.
        ("log.dirs", &format!("{DATA}/log")),
    ] {
        lines.insert(key.to_owned(), value.to_owned());
    }
    Ok(lines.iter().map(|(key, value)| format!("{key}={}\n", escape(value))).collect())
}

/// Copies of each partition: three where there are nodes enough. Kafka's own defaults need three nodes, or keep one copy.
fn defaults(replicas: i32) -> BTreeMap<String, String> {
    let copies = replicas.min(3);
    let in_sync = if copies < 3 { 1 } else { 2 };
    [
        ("default.replication.factor", copies),
        ("min.insync.replicas", in_sync),
        ("offsets.topic.replication.factor", copies),
        ("share.coordinator.state.topic.min.isr", in_sync),
        ("share.coordinator.state.topic.replication.factor", copies),
        ("transaction.state.log.min.isr", in_sync),
        ("transaction.state.log.replication.factor", copies),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_string()))
    .into()
}

fn check(overrides: &BTreeMap<String, String>) -> Result<(), Refusal> {
    let reserved: Vec<_> = overrides.keys().map(String::as_str).filter(|key| RESERVED.contains(key)).collect();
    if !reserved.is_empty() {
        return Err(Refusal::new(
            "ReservedConfig",
            format!("spec.config has {}, which the operator writes itself. Remove it from there", reserved.join(", ")),
        ));
    }
    for (key, value) in overrides {
        let odd = |byte: u8| !(byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if key.is_empty() || key.bytes().any(odd) {
            return Err(Refusal::new(INVALID, format!("spec.config: {key:?} cannot be a key of server.properties")));
        }
        if value.chars().any(char::is_control) {
            return Err(Refusal::new(
                INVALID,
                format!("spec.config: the value of {key} has a line end or control character"),
            ));
        }
    }
    Ok(())
}

/// A value as Java reads it back: the file is Latin-1 with `\uXXXX`, and space at the start of a value is skipped.
fn escape(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for (index, letter) in value.chars().enumerate() {
        match letter {
            '\\' => text.push_str("\\\\"),
            ' ' if index == 0 => text.push_str("\\ "),
            letter if letter.is_ascii() => text.push(letter),
            letter => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    // Writing to a String cannot fail.
                    let _ = write!(text, "\\u{unit:04x}");
                }
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(controllers: i32, replicas: i32, overrides: &[(&str, &str)]) -> Result<String, Refusal> {
        let overrides = overrides.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        server_properties("simple", "simple-headless.default.svc", controllers, replicas, &overrides)
    }

    fn has(text: &str, line: &str) -> bool {
        text.lines().any(|found| found == line)
    }

    /// Each controller is a voter, under the name that its pod has.
    #[test]
    fn voters() {
        let text = properties(3, 5, &[]).unwrap();

        assert!(has(
            &text,
            "controller.quorum.voters=0@simple-0.simple-headless.default.svc:9093,\
             1@simple-1.simple-headless.default.svc:9093,2@simple-2.simple-headless.default.svc:9093"
        ));
    }

    /// Three copies where there are three nodes or more, and one where there is one.
    #[test]
    fn copies() {
        for (replicas, copies, in_sync) in [(1, 1, 1), (3, 3, 2), (5, 3, 2)] {
            let text = properties(1, replicas, &[]).unwrap();

            assert!(has(&text, &format!("default.replication.factor={copies}")), "{replicas}");
            assert!(has(&text, &format!("min.insync.replicas={in_sync}")), "{replicas}");
        }
    }

    /// The user's lines replace defaults, and each key stands once.
    #[test]
    fn overrides() {
        let text = properties(3, 3, &[("min.insync.replicas", "1"), ("log.retention.hours", "24")]).unwrap();

        assert!(has(&text, "min.insync.replicas=1"));
        assert!(has(&text, "log.retention.hours=24"));
        assert_eq!(1, text.matches("\nmin.insync.replicas=").count());
    }

    /// The text does not depend on the order of the user's lines: it is hashed, and a new hash restarts the brokers.
    #[test]
    fn order() {
        let keys: Vec<_> = properties(1, 1, &[("a", "1")]).unwrap().lines().map(str::to_owned).collect();
        let mut sorted = keys.clone();
        sorted.sort();

        assert_eq!(sorted, keys);
    }

    /// Keys of the operator are refused, all of them in one message.
    #[test]
    fn reserved() {
        let refusal = properties(3, 3, &[("node.id", "7"), ("listeners", "x"), ("a", "1")]).unwrap_err();

        assert_eq!("ReservedConfig", refusal.reason);
        assert!(refusal.message.contains("listeners, node.id"), "{}", refusal.message);
    }

    /// All that the operator writes is reserved, except defaults.
    #[test]
    fn all_reserved() {
        let defaults = defaults(3);
        for line in properties(3, 3, &[]).unwrap().lines() {
            let key = line.split('=').next().unwrap();

            assert!(defaults.contains_key(key) || RESERVED.contains(&key), "{key}");
        }
    }

    /// A line end in a value would begin a line of its own, with any key.
    #[test]
    fn injection() {
        for (key, value) in [("a", "1\nnode.id=7"), ("a\nb", "1"), ("a=b", "1"), ("", "1"), ("a", "1\r")] {
            assert_eq!("InvalidConfig", properties(3, 3, &[(key, value)]).unwrap_err().reason, "{key:?} {value:?}");
        }
    }

    /// Values are written so that Java reads back the same text.
    #[test]
    fn escapes() {
        let text = properties(1, 1, &[("a", r" c:\x"), ("b", "ü😀"), ("c", "x = $y # z")]).unwrap();

        assert!(has(&text, r"a=\ c:\\x"));
        assert!(has(&text, r"b=\u00fc\ud83d\ude00"));
        assert!(has(&text, "c=x = $y # z"));
    }
}
