//! Names of images.
//!
//! Source: distribution/reference v0.6.0 normalize.go `ParseNormalizedNamed`, regexp.go; kubernetes
//! v1.36.3 pkg/util/parsers/parsers.go.

const NAME_MAX: usize = 255;
const TAG_MAX: usize = 128;
const DIGEST_MIN: usize = 32;

/// Rule N61: an image without a tag, or with `latest`, is asked for at each start. What is no name
/// of an image has no tag that could be `latest`.
pub(super) fn pull_policy(image: &str) -> &'static str {
    let Some((tag, has_digest)) = parts(image) else {
        return "IfNotPresent";
    };
    match (tag, has_digest) {
        (Some("latest"), _) | (None, false) => "Always",
        _ => "IfNotPresent",
    }
}

/// The tag and whether there is a digest; none if it is no name of an image.
fn parts(image: &str) -> Option<(Option<&str>, bool)> {
    if image.len() == 64 && image.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    if digest.is_some_and(|digest| !is_digest(digest)) {
        return None;
    }
    let (domain, path) = match rest.split_once('/') {
        Some((domain, path)) if is_domain_like(domain) => (Some(domain), path),
        _ => (None, rest),
    };
    let (path, tag) = match path.split_once(':') {
        Some((path, tag)) => (path, Some(tag)),
        None => (path, None),
    };
    let fine = domain.is_none_or(is_domain)
        && path.split('/').all(is_component)
        && tag.is_none_or(is_tag)
        && domain.map_or(0, str::len) + path.len() < NAME_MAX;
    fine.then_some((tag, digest.is_some()))
}

fn is_domain_like(text: &str) -> bool {
    text.contains(['.', ':']) || text == "localhost" || text.to_lowercase() != text
}

fn is_domain(text: &str) -> bool {
    let (host, port) = text.split_once(':').map_or((text, None), |(h, p)| (h, Some(p)));
    let part = |part: &str| {
        let bytes = part.as_bytes();
        let ends = bytes.first().zip(bytes.last());
        ends.is_some_and(|(a, b)| a.is_ascii_alphanumeric() && b.is_ascii_alphanumeric())
            && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
    };
    let port = port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
    port && host.split('.').all(part)
}

/// Lower-case words with one `.`, one or two `_`, or any number of `-` between them.
fn is_component(text: &str) -> bool {
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let ends = text.starts_with(is_word) && text.ends_with(is_word);
    let mut gaps = text.split(is_word).filter(|gap| !gap.is_empty());
    ends && gaps.all(|gap| matches!(gap, "." | "_" | "__") || gap.bytes().all(|b| b == b'-'))
}

fn is_tag(text: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let first = text.bytes().next().is_some_and(is_word);
    first && text.len() <= TAG_MAX && text.bytes().all(|b| is_word(b) || matches!(b, b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else { return false };
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(part)
        && hex.len() >= DIGEST_MIN
        && hex.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_decides() {
        for image in ["nginx", "nginx:latest", "a.io:5000/b/c", "localhost/x", "a__b/c--d"] {
            assert_eq!(pull_policy(image), "Always", "{image}");
        }
        let digest = format!("nginx@sha256:{}", "a".repeat(64));
        let kept =
            ["nginx:1", "a.io:5000/b:1", &digest, "", " nginx", "Nginx", "a b", "a..b", "x:"];
        for image in kept {
            assert_eq!(pull_policy(image), "IfNotPresent", "{image}");
        }
    }
}
