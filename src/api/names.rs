//! What names, labels and ports may look like.
//!
//! Source: kubernetes v1.36.3 staging/src/k8s.io/apimachinery/pkg/util/validation/validation.go
//! (recorded). Each function gives the reasons against a text, none if it is fine.

const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric \
     characters, '-' or '.', and must start and end with an alphanumeric character \
     (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters \
     or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', \
     regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start \
     and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex \
     used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric \
     characters, '-', '_' or '.', and must start and end with an alphanumeric character \
     (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
     '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

fn too_long(text: &str, max: usize) -> Option<String> {
    (text.len() > max).then(|| format!("must be no more than {max} bytes"))
}

fn too_many_characters(text: &str, max: usize) -> Option<String> {
    (text.len() > max).then(|| format!("must be no more than {max} characters"))
}

/// Starts and ends with an alphanumeric character, between them `inner` too.
fn is_word(text: &str, is_alphanumeric: fn(u8) -> bool, inner: &[u8]) -> bool {
    let bytes = text.as_bytes();
    let ends = bytes.first().zip(bytes.last());
    ends.is_some_and(|(first, last)| is_alphanumeric(*first) && is_alphanumeric(*last))
        && bytes.iter().all(|b| is_alphanumeric(*b) || inner.contains(b))
}

const fn is_lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

const fn is_any(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
}

/// The name of most objects.
pub(super) fn dns_subdomain(text: &str) -> Vec<String> {
    let against = (!is_subdomain(text)).then(|| SUBDOMAIN.to_owned());
    too_many_characters(text, 253).into_iter().chain(against).collect()
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(|part| is_word(part, is_lower, b"-"))
}

/// The name of a container, a volume, a namespace, a Service.
pub(super) fn dns_label(text: &str) -> Vec<String> {
    let against = match (is_word(text, is_lower, b"-"), is_subdomain(text)) {
        (true, _) => None,
        (false, true) => Some("must not contain dots".to_owned()),
        (false, false) => Some(LABEL.to_owned()),
    };
    too_many_characters(text, 63).into_iter().chain(against).collect()
}

/// A key of a label, a taint, an annotation: `name` or `prefix/name`.
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut against = Vec::new();
    let (prefix, name) = match text.split_once('/') {
        None => (None, text),
        Some((prefix, name)) if !name.contains('/') => (Some(prefix), name),
        Some(_) => {
            return vec![format!(
                "a valid label key {QUALIFIED} with an optional DNS subdomain prefix and '/' \
                 (e.g. 'example.com/MyName')"
            )];
        }
    };
    match prefix {
        Some("") => against.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            against.extend(dns_subdomain(prefix).iter().map(|why| format!("prefix part {why}")));
        }
        None => {}
    }
    if name.is_empty() {
        against.push("name part must be non-empty".to_owned());
    } else if let Some(why) = too_long(name, 63) {
        against.push(format!("name part {why}"));
    }
    if !is_word(name, is_any, b"-_.") {
        against.push(format!("name part {QUALIFIED}"));
    }
    against
}

/// The value of a label.
pub fn label_value(text: &str) -> Vec<String> {
    let fine = text.is_empty() || is_word(text, is_any, b"-_.");
    too_long(text, 63).into_iter().chain((!fine).then(|| LABEL_VALUE.to_owned())).collect()
}

/// The name of a port, which probes and Services refer to.
pub(super) fn port_name(text: &str) -> Vec<String> {
    let mut against = Vec::new();
    let mut say = |why: &str| against.push(why.to_owned());
    if text.len() > 15 {
        say("must be no more than 15 characters");
    }
    if text.bytes().any(|b| !is_lower(b) && b != b'-') {
        say("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        say("must contain at least one letter (a-z)");
    }
    if text.contains("--") {
        say("must not contain consecutive hyphens");
    }
    if text.starts_with('-') || text.ends_with('-') {
        say("must not begin or end with a hyphen");
    }
    against
}

/// A name as a part of a path: what no object may have, whatever its kind allows.
pub(super) fn path_segment(text: &str) -> Vec<String> {
    match text {
        "." | ".." => return vec![format!("may not be '{text}'")],
        _ => {}
    }
    let bad = ["/", "%"].into_iter().filter(|bad| text.contains(bad));
    bad.map(|bad| format!("may not contain '{bad}'")).collect()
}

/// The key of a value in a ConfigMap or a Secret.
pub(super) fn config_key(text: &str) -> Vec<String> {
    let mut against: Vec<String> = too_many_characters(text, 253).into_iter().collect();
    let fine = text.bytes().all(|b| is_any(b) || b"-_.".contains(&b));
    if text.is_empty() || !fine {
        against.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' \
             (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is \
             '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    match text {
        "." => against.push("must not be '.'".to_owned()),
        ".." => against.push("must not be '..'".to_owned()),
        _ if text.starts_with("..") => against.push("must not start with '..'".to_owned()),
        _ => {}
    }
    against
}

/// `acme.io/foo`: a domain and a path.
pub(super) fn domain_prefixed_path(text: &str) -> Vec<String> {
    let Some((domain, path)) = text.split_once('/') else {
        return vec!["must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned()];
    };
    let mut against: Vec<String> = match domain {
        "" => vec!["must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned()],
        domain => dns_subdomain(domain),
    };
    let fine = |b: u8| is_any(b) || b"-_.~!$&'()*+,;=:@%/".contains(&b);
    if path.is_empty() || !path.bytes().all(fine) {
        against.push(
            "Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"
                .to_owned(),
        );
    }
    against
}

/// An address.
pub(super) fn ip(text: &str) -> Vec<String> {
    let fine = text.parse::<std::net::IpAddr>().is_ok() || is_old_ipv4(text);
    let why = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
    if fine { Vec::new() } else { vec![why.to_owned()] }
}

/// Older fields take leading zeros.
fn is_old_ipv4(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    parts.len() == 4
        && parts.iter().all(|part| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_digit())
                && part.parse::<u32>().is_ok_and(|number| number < 256)
        })
}

/// A range of addresses.
pub(super) fn cidr(text: &str) -> Vec<String> {
    let fine = text.split_once('/').is_some_and(|(address, bits)| {
        let max = if address.contains(':') { 128 } else { 32 };
        let plain = !bits.is_empty() && bits.bytes().all(|b| b.is_ascii_digit());
        ip(address).is_empty() && plain && bits.parse::<u32>().is_ok_and(|bits| bits <= max)
    });
    let why = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    if fine { Vec::new() } else { vec![why.to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(dns_subdomain("web-1.example"), [""; 0]);
        assert_eq!(dns_subdomain("Web").len(), 1);
        assert_eq!(dns_subdomain("a..b").len(), 1);
        assert_eq!(dns_label(&"a".repeat(64)), ["must be no more than 63 characters"]);
        assert_eq!(dns_label("a.b"), ["must not contain dots"]);
        assert_eq!(qualified_name("example.com/a_b"), [""; 0]);
        assert_eq!(qualified_name("example.com/").len(), 2);
        assert_eq!(qualified_name("a/b/c").len(), 1);
        assert_eq!(label_value(""), [""; 0]);
        assert_eq!(label_value("-x").len(), 1);
        assert_eq!(port_name("http"), [""; 0]);
        assert_eq!(path_segment(".."), ["may not be '..'"]);
        assert_eq!(path_segment("a%/").len(), 2);
        assert_eq!(config_key("tls.crt"), [""; 0]);
        assert_eq!(config_key("a/b").len(), 1);
        assert_eq!(domain_prefixed_path("acme.io/foo"), [""; 0]);
        assert_eq!(domain_prefixed_path("foo").len(), 1);
        assert_eq!(cidr("10.0.0.0/8"), [""; 0]);
        assert_eq!(cidr("10.0.0.0/33").len(), 1);
        assert_eq!(ip("10.0.0.999").len(), 1);
        assert_eq!(port_name("80"), ["must contain at least one letter (a-z)"]);
    }
}
