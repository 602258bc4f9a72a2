//! A service mesh: proxies in pods, how they hear of endpoints, choose pods and try again.

use std::sync::Arc;

use crate::base::{Distribution, Duration, Symbol};

use super::client::{BackOff, Budget, Client, Connections, DnsCache, FateSet, NO_LIMIT, Retries};

/// A service mesh: pods with a container of this name send and get all calls through it (rules
/// N187, N471).
#[derive(Clone, Debug, PartialEq)]
pub struct MeshSpec {
    /// The proxy's container.
    pub container: Symbol,
    /// What a pair of proxies adds to a call there and back, in seconds.
    pub latency: Distribution,
    /// How proxies hear of endpoints.
    pub push: PushSpec,
    /// How a proxy chooses a pod.
    pub balance: Balance,
    /// How a proxy calls the pods of a Service.
    pub client: Client,
    /// After which ends it calls another one.
    pub on: Conditions,
    /// Whether it does so with a call that was sent and is not idempotent.
    pub resends: bool,
    /// Below this part of pods that are not left alone all are used.
    pub panic: f64,
    /// For how long a pod that is new gets less than its share; zero: it gets all of it.
    pub warmup: Duration,
    /// Whether a proxy that is told to stop waits, after its drain, for the calls of its pod
    /// (`EXIT_ON_ZERO_ACTIVE_CONNECTIONS`).
    pub exits_when_idle: bool,
}

impl MeshSpec {
    /// Istio's as it is installed, with a container of this name.
    ///
    /// Source: Istio, pilot/pkg/features (debounce 100 ms, 10 s at most), the default policy of
    /// HTTP retries (2 more, on connect-failure, refused-stream, unavailable, cancelled and the
    /// status 503, on another host), `connectTimeout` 10 s, LEAST_REQUEST; limits of connections and
    /// outlier detection only by a DestinationRule. How long a push takes is an assumption.
    #[must_use]
    pub fn istio(container: Symbol) -> Self {
        Self {
            container,
            latency: Self::latency(),
            push: PushSpec::istio(),
            balance: Balance::LeastRequest,
            client: upstream(),
            on: Conditions::ISTIO,
            resends: false,
            panic: 0.0,
            warmup: Duration::ZERO,
            exits_when_idle: false,
        }
    }

    /// What a pair adds: about 1.7 ms at p90, 2.7 ms at p99 (Istio 1.12, rule N187).
    #[must_use]
    pub fn latency() -> Distribution {
        Distribution::log_normal_p99(0.001, 0.002_7)
    }
}

/// How Istio's proxies call.
fn upstream() -> Client {
    let mut connections = Connections::keep_alive(u32::MAX);
    (connections.idle_max, connections.tls) = (Duration::secs(3600), true);
    Client {
        connections,
        timeout: NO_LIMIT,
        connect_timeout: Duration::secs(10),
        deadline: NO_LIMIT,
        retries: Retries {
            attempts: 2,
            on: FateSet::FAILED,
            back_off: BackOff::ENVOY,
            budget: Budget::Unlimited,
            elsewhere: true,
        },
        hedge: None,
        ejection: None,
        calls_max: u32::MAX,
        dns_cache: DnsCache::For(Duration::ZERO),
    }
}

/// How the control plane of a mesh tells its proxies of endpoints.
#[derive(Clone, Debug, PartialEq)]
pub struct PushSpec {
    /// It waits until nothing has changed for so long.
    pub debounce: Duration,
    /// But not longer than this after the first change.
    pub debounce_max: Duration,
    /// From then on until a proxy uses what it is told, in seconds.
    pub takes: Distribution,
}

impl PushSpec {
    /// Istio's.
    #[must_use]
    pub fn istio() -> Self {
        Self {
            debounce: Duration::ms(100),
            debounce_max: Duration::secs(10),
            takes: Distribution::log_normal_p99(0.02, 0.2),
        }
    }

    /// At once.
    #[must_use]
    pub const fn ideal() -> Self {
        let (debounce, debounce_max) = (Duration::ZERO, Duration::ZERO);
        Self { debounce, debounce_max, takes: Distribution::Constant(0.0) }
    }
}

/// How a proxy chooses one of the pods that it knows (rule N184).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance {
    /// Of two at random the one with fewer calls of this proxy.
    LeastRequest,
    /// One after another.
    RoundRobin,
    /// Any.
    Random,
}

/// After which ends a proxy of a mesh tries again.
///
/// Source: Envoy, router filter, `x-envoy-retry-on` and `x-envoy-retry-grpc-on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conditions(u8);

impl Conditions {
    /// Their names, each with its place.
    pub const NAMES: [&str; 8] = [
        "connect-failure",
        "refused-stream",
        "reset",
        "unavailable",
        "cancelled",
        "503",
        "gateway-error",
        "5xx",
    ];
    /// Istio's.
    pub const ISTIO: Self = Self(0b0011_1011);

    /// These, by their places.
    #[must_use]
    pub fn of(places: impl IntoIterator<Item = u8>) -> Self {
        Self(places.into_iter().fold(0, |set, place| set | 1 << place))
    }

    /// Their names.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        (0..8).filter(move |place| self.0 & (1 << place) != 0).map(|place| Self::NAMES[place])
    }

    /// Whether one of these is among them.
    #[must_use]
    pub fn has(self, names: &[&str]) -> bool {
        self.names().any(|name| names.contains(&name))
    }
}

/// What the mesh puts into pods as they are made: the proxy's container (rules N65, N471).
///
/// Source: Istio, the webhook of its injection: pods of a namespace with the label
/// `istio-injection=enabled`, the pod's label `sidecar.istio.io/inject`, none on the host's network.
#[derive(Clone, Debug, PartialEq)]
pub struct Injection {
    /// Names of the namespaces whose pods get it.
    pub namespaces: Vec<String>,
    /// Whether that is for their labels to say.
    pub is_by_label: bool,
    /// The container, as a pod's manifest has it.
    pub container: serde_json::Value,
    /// Whether it stands among the init containers (a native sidecar).
    pub is_native: bool,
    /// Whether it is the first in its list, else the last.
    pub is_first: bool,
}

impl Injection {
    /// Whether a namespace asks for the proxy by its labels `istio-injection` and `istio.io/rev`.
    #[must_use]
    pub fn is_asked_for(injection: Option<&str>, revision: Option<&str>) -> bool {
        injection == Some("enabled") || revision.is_some()
    }

    /// The template of a pod with the proxy in it, if its pods get it.
    #[must_use]
    pub fn into_pod(
        &self,
        namespace: &str,
        template: &serde_json::Value,
    ) -> Option<serde_json::Value> {
        const LABEL: &str = "sidecar.istio.io/inject";
        let metadata = &template["metadata"];
        let said = ["labels", "annotations"].map(|of| metadata[of][LABEL].as_str());
        let wanted = match said.into_iter().flatten().next() {
            Some(said) => said == "true",
            None => self.namespaces.iter().any(|name| name == namespace),
        };
        let spec = &template["spec"];
        let is_there = ["initContainers", "containers"]
            .into_iter()
            .filter_map(|list| spec[list].as_array())
            .flatten()
            .any(|container| container["name"] == self.container["name"]);
        if !wanted || is_there || spec["hostNetwork"] == true {
            return None;
        }
        let mut pod = template.clone();
        let list = if self.is_native { "initContainers" } else { "containers" };
        let list = &mut pod["spec"][list];
        if !list.is_array() {
            *list = serde_json::Value::Array(Vec::new());
        }
        let list = list.as_array_mut()?;
        let at = if self.is_first { 0 } else { list.len() };
        list.insert(at, self.container.clone());
        Some(pod)
    }
}

/// The proxy's container in [`super::Behaviors`], and what puts it there.
#[derive(Clone, Debug, PartialEq)]
pub struct Proxied {
    /// The proxy's container: rules that name neither a container nor an image leave it alone.
    pub container: Symbol,
    /// What puts it into pods; `None`: they have it by their manifests.
    pub injection: Option<Arc<Injection>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_of_istio() {
        let names: Vec<&str> = Conditions::ISTIO.names().collect();
        assert_eq!(names, ["connect-failure", "refused-stream", "unavailable", "cancelled", "503"]);
    }

    /// By the namespace, against and for it by the pod's label, never twice, not on the host's
    /// network.
    #[test]
    fn into_which_pods() {
        let injection = Injection {
            namespaces: vec!["shop".to_owned()],
            is_by_label: false,
            container: serde_json::json!({ "name": "istio-proxy" }),
            is_native: true,
            is_first: true,
        };
        let pod = |label: Option<&str>, spec: serde_json::Value| {
            let labels = serde_json::json!({ "sidecar.istio.io/inject": label });
            serde_json::json!({ "metadata": { "labels": labels }, "spec": spec })
        };
        let app = || serde_json::json!({ "containers": [{ "name": "app" }] });
        let put = |namespace, pod| injection.into_pod(namespace, &pod);
        let injected = put("shop", pod(None, app())).unwrap();
        assert_eq!(injected["spec"]["initContainers"][0]["name"], "istio-proxy");
        assert!(put("shop", injected).is_none());
        assert!(put("shop", pod(Some("false"), app())).is_none());
        assert!(put("other", pod(Some("true"), app())).is_some());
        assert!(put("other", pod(None, app())).is_none());
        let host = serde_json::json!({ "hostNetwork": true, "containers": [{ "name": "app" }] });
        assert!(put("shop", pod(None, host)).is_none());
    }
}
