//! Ingress proxies: what stands before Services that Ingresses name (rules N180, N473).

use std::sync::Arc;

use crate::base::{Distribution, Duration, Symbol};

use super::ServiceSpec;
use super::client::{BackOff, Budget, Client, Connections, FateSet, NO_LIMIT, Retries};
use super::ids::ObjectName;

/// The proxies of a scenario's Ingresses.
#[derive(Clone, Debug, PartialEq)]
pub struct IngressSpec {
    /// Where they are.
    pub place: IngressPlace,
    /// Processes of each that take calls, each with connections and a turn of its own (rule N184).
    pub workers: u32,
    /// How they find pods.
    pub finds: Finds,
    /// How they choose one of them.
    pub balance: IngressBalance,
    /// From one look at the endpoints to the next at least.
    pub sync: Duration,
    /// How often a process takes over what the look has found.
    pub poll: Duration,
    /// How long a reload takes, in seconds.
    pub reload: Distribution,
    /// How long the processes from before a reload may finish their calls.
    pub drain: Duration,
    /// How they call pods.
    pub client: Client,
}

/// Where the proxies are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressPlace {
    /// Outside the cluster: so many, which never end.
    Outside(u32),
    /// The pods behind a Service.
    Behind(ObjectName),
}

/// How a proxy finds the pods of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finds {
    /// It follows the endpoints, and its processes take them over while they run.
    Dynamic,
    /// It follows the endpoints, and starts new processes for new ones (a reload).
    Reload,
    /// It calls the Service: a kube-proxy chooses.
    Service,
}

/// How a proxy chooses one of the pods that it knows (rules N180, N184).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressBalance {
    /// In turn, each of its processes for itself.
    RoundRobin,
    /// Of two drawn at random the one whose answers have come sooner of late (Peak-EWMA); all
    /// processes of a proxy know the same of that.
    Ewma,
}

impl IngressSpec {
    /// ingress-nginx as it is installed, two proxies outside the cluster.
    ///
    /// Source: ingress-nginx flags `--sync-rate-limit` 0.3, balancer.lua (1 s), options
    /// `worker-shutdown-timeout` 240 s, `proxy-connect-timeout` 5 s, `proxy-read-timeout` 60 s,
    /// `proxy-next-upstream` error timeout, `proxy-next-upstream-tries` 3,
    /// `upstream-keepalive-connections` 320 and `-timeout` 60 s (rule N180). How long a reload
    /// takes is an assumption.
    #[must_use]
    pub fn nginx() -> Self {
        Self {
            place: IngressPlace::Outside(2),
            workers: 2,
            finds: Finds::Dynamic,
            balance: IngressBalance::RoundRobin,
            sync: Duration::us(3_333_333),
            poll: Duration::secs(1),
            reload: Distribution::log_normal_p99(0.3, 1.0),
            drain: Duration::secs(240),
            client: upstream(),
        }
    }

    /// The same without any time of its own: what a scenario with `ideal` latencies gets.
    #[must_use]
    pub fn ideal() -> Self {
        Self {
            sync: Duration::ZERO,
            poll: Duration::ZERO,
            reload: Distribution::Constant(0.0),
            ..Self::nginx()
        }
    }
}

/// How nginx calls an upstream server.
fn upstream() -> Client {
    Client {
        connections: Connections { idle_max: Duration::secs(60), ..Connections::keep_alive(320) },
        timeout: Duration::secs(60),
        connect_timeout: Duration::secs(5),
        deadline: NO_LIMIT,
        retries: Retries {
            attempts: 2,
            on: FateSet::of([1, 2, 3]),
            back_off: BackOff::Full { base: Duration::ZERO, max: Duration::ZERO },
            budget: Budget::Unlimited,
            elsewhere: true,
        },
        hedge: None,
        ejection: None,
        calls_max: u32::MAX,
        dns_cache: super::DnsCache::For(Duration::ZERO),
    }
}

/// What an Ingress says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRules {
    /// Whose rules they are.
    pub name: ObjectName,
    /// Its paths, in order.
    pub paths: Vec<IngressPath>,
    /// All that a proxy's configuration is made of, as it is written: another text, another
    /// configuration (rule N180).
    pub settings: String,
}

/// The port of a Service as an Ingress names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IngressPort {
    /// By its number.
    Number(u16),
    /// By its name.
    Name(Symbol),
}

impl IngressPort {
    /// Whether a Service has it. One whose ports nobody has written has all.
    #[must_use]
    pub fn is_of(self, service: &ServiceSpec) -> bool {
        let is_it = |port: &super::ServicePort| match self {
            Self::Number(number) => port.port == number,
            Self::Name(name) => port.name == name,
        };
        service.ports.is_empty() || service.ports.iter().any(is_it)
    }
}

/// What a call asks ingress proxies for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressRequest {
    /// The host.
    pub host: Arc<str>,
    /// The path.
    pub path: Arc<str>,
    /// The only Ingress whose paths are looked at; `None`: all are.
    pub of: Option<ObjectName>,
}

impl IngressRequest {
    /// The path that takes it; of equal ones the first.
    #[must_use]
    pub fn taken_by<'a>(
        &self,
        paths: impl DoubleEndedIterator<Item = &'a IngressPath>,
    ) -> Option<&'a IngressPath> {
        let own = paths.filter(|path| self.of.is_none_or(|of| path.ingress == of));
        let best = own.filter_map(|path| Some((path.takes(&self.host, &self.path)?, path)));
        best.rev().max_by_key(|(how, _)| *how).map(|(_, path)| path)
    }
}

/// A path of an Ingress, and the Service that it leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IngressPath {
    /// Whose.
    pub ingress: ObjectName,
    /// The host as written; empty: any.
    pub host: String,
    /// The path; `None`: whatever no other path takes (`defaultBackend`).
    pub path: Option<String>,
    /// Whether it takes this path alone, and none below.
    pub is_exact: bool,
    /// Where it leads; `None`: to something that is no Service.
    pub backend: Option<ObjectName>,
    /// The port of that.
    pub port: Option<IngressPort>,
}

impl IngressPath {
    /// How well it takes a request: the greatest wins. `None`: not at all.
    ///
    /// A host as written wins over `*.`, that over none; then an exact path over a prefix, a longer
    /// prefix over a shorter one. Prefixes are compared element by element.
    ///
    /// Source: kubernetes v1.36.3 pkg/apis/networking/types.go `IngressRule`, `HTTPIngressPath`.
    #[must_use]
    pub fn takes(&self, host: &str, path: &str) -> Option<(u8, u8, usize)> {
        let Some(own) = &self.path else { return Some((0, 0, 0)) };
        let host = match self.host.strip_prefix('*') {
            _ if self.host.is_empty() => 1,
            None if self.host == host => 3,
            // The star stands for one label.
            Some(rest) if host.strip_suffix(rest).is_some_and(is_label) => 2,
            _ => return None,
        };
        let prefix = own.trim_end_matches('/');
        let is_below =
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match self.is_exact {
            true if own == path => Some((host, 2, own.len())),
            false if is_below => Some((host, 1, prefix.len())),
            _ => None,
        }
    }

    /// A request that it takes, if no other path takes it first: host and path.
    #[must_use]
    pub fn example(&self) -> String {
        let host = self.host.replacen('*', "any", 1);
        format!("{host}{}", self.path.as_deref().unwrap_or("/"))
    }
}

fn is_label(text: &str) -> bool {
    !text.is_empty() && !text.contains('.')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Interner;

    fn path(host: &str, path: &str, is_exact: bool) -> IngressPath {
        let mut names = Interner::new();
        let name = ObjectName { namespace: names.intern("default"), name: names.intern("web") };
        let (path, host) = (Some(path.to_owned()), host.to_owned());
        IngressPath { ingress: name, host, path, is_exact, backend: Some(name), port: None }
    }

    /// The examples of the API's documentation: `/foo` takes `/foo`, `/foo/` and `/foo/bar`, not
    /// `/foobar`; `*.foo.com` takes one label.
    #[test]
    fn requests_and_paths() {
        let takes = |own: &IngressPath, host, to| own.takes(host, to).is_some();
        let prefix = path("", "/foo", false);
        for (request, is_taken) in
            [("/foo", true), ("/foo/", true), ("/foo/bar", true), ("/foobar", false), ("/", false)]
        {
            assert_eq!(takes(&prefix, "a.b", request), is_taken, "{request}");
        }
        assert!(takes(&path("", "/", false), "a.b", "/any/thing"));
        let exact = path("", "/foo", true);
        assert!(takes(&exact, "", "/foo") && !takes(&exact, "", "/foo/"));
        let star = path("*.foo.com", "/", false);
        assert!(takes(&star, "bar.foo.com", "/"));
        assert!(!takes(&star, "baz.bar.foo.com", "/") && !takes(&star, "foo.com", "/"));
        assert!(exact.takes("", "/foo") > prefix.takes("", "/foo"));
        let named = path("a.foo.com", "/", false);
        assert!(named.takes("a.foo.com", "/foo") > star.takes("a.foo.com", "/foo"));
    }
}
