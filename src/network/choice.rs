//! Which endpoints of a Service's port a node's proxy uses.
//!
//! Source: kubernetes v1.36.3 pkg/proxy/topology.go `CategorizeEndpoints`,
//! `topologyModeFromHints` (rules N157, N158, N159).

/// What a proxy knows of one endpoint, as seen from its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Condition ready.
    pub ready: bool,
    /// Condition serving.
    pub serving: bool,
    /// Condition terminating.
    pub terminating: bool,
    /// Whether it is on the proxy's node.
    pub is_local: bool,
    /// Its hints for nodes.
    pub node_hint: Hint,
    /// Its hints for zones.
    pub zone_hint: Hint,
}

/// A hint for whom an endpoint is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Hint {
    /// None is given.
    #[default]
    Absent,
    /// It names others.
    Others,
    /// It names this node, or this node's zone.
    Here,
}

impl Hint {
    /// What hints say to those who are here; `None`: it is not known where that is.
    #[must_use]
    pub fn of<T: PartialEq>(names: &[T], here: Option<&T>) -> Self {
        match here {
            _ if names.is_empty() => Self::Absent,
            Some(here) if names.contains(here) => Self::Here,
            _ => Self::Others,
        }
    }
}

impl Seen {
    /// Whether it is the last resort: it serves while it terminates, and is not ready.
    #[must_use]
    pub const fn is_last(self) -> bool {
        self.serving && self.terminating
    }
}

/// Which policies a port of a Service ever uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The policy Cluster.
    pub cluster: bool,
    /// The policy Local.
    pub local: bool,
}

/// The endpoints that are used, as places in the list that was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Under the policy Cluster.
    pub cluster: Vec<u32>,
    /// Under the policy Local.
    pub local: Vec<u32>,
    /// Those that this node may send to at all.
    pub reachable: Vec<u32>,
    /// Whether anything usable is anywhere: refuse, or drop, where nothing is left.
    pub has_any: bool,
}

/// The hints that a proxy honours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Topology {
    Everywhere,
    Node,
    Zone,
}

/// Chooses among the endpoints of a port.
#[must_use]
pub fn choose(all: &[Seen], usage: Usage) -> Chosen {
    let mut chosen = Chosen::default();
    let mut topology = Topology::Everywhere;
    if usage.cluster {
        topology = honoured(all);
        chosen.cluster = places(all, |e| e.ready && is_for_us(e, topology));
        if chosen.cluster.is_empty() {
            chosen.cluster = places(all, Seen::is_last);
        }
        chosen.has_any = !chosen.cluster.is_empty();
    }
    if !usage.local {
        chosen.reachable.clone_from(&chosen.cluster);
        return chosen;
    }
    chosen.has_any |= all.iter().any(|e| e.ready || e.is_last());
    chosen.local = places(all, |e| e.is_local && e.ready);
    let is_fallback = chosen.local.is_empty();
    if is_fallback {
        chosen.local = places(all, |e| e.is_local && e.is_last());
    }
    chosen.reachable = if !usage.cluster {
        chosen.local.clone()
    } else if topology == Topology::Everywhere && (!is_fallback || chosen.local.is_empty()) {
        chosen.cluster.clone()
    } else {
        union(&chosen.cluster, &chosen.local)
    };
    chosen
}

/// Hints count if every ready endpoint has one, and one of them is for us; nodes come first.
fn honoured(all: &[Seen]) -> Topology {
    let ready = || all.iter().filter(|e| e.ready);
    let counts = |hint: fn(Seen) -> Hint| {
        ready().all(|e| hint(*e) != Hint::Absent) && ready().any(|e| hint(*e) == Hint::Here)
    };
    if counts(|e| e.node_hint) {
        Topology::Node
    } else if counts(|e| e.zone_hint) {
        Topology::Zone
    } else {
        Topology::Everywhere
    }
}

fn is_for_us(endpoint: Seen, topology: Topology) -> bool {
    match topology {
        Topology::Everywhere => true,
        Topology::Node => endpoint.node_hint == Hint::Here,
        Topology::Zone => endpoint.zone_hint == Hint::Here,
    }
}

fn places(all: &[Seen], wanted: impl Fn(Seen) -> bool) -> Vec<u32> {
    (0..).zip(all).filter(|(_, endpoint)| wanted(**endpoint)).map(|(place, _)| place).collect()
}

/// Both, each once, in order.
fn union(one: &[u32], other: &[u32]) -> Vec<u32> {
    let mut both: Vec<u32> = one.iter().chain(other).copied().collect();
    both.sort_unstable();
    both.dedup();
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Seen {
        let hint = |here: char, others: char| match text {
            text if text.contains(here) => Hint::Here,
            text if text.contains(others) => Hint::Others,
            _ => Hint::Absent,
        };
        Seen {
            ready: text.contains('r'),
            serving: text.contains('r') || text.contains('t'),
            terminating: text.contains('t'),
            is_local: text.contains('l'),
            node_hint: hint('N', 'n'),
            zone_hint: hint('Z', 'z'),
        }
    }

    fn check(all: &[&str], cluster: &[u32], local: &[u32], has_any: bool) {
        let all: Vec<Seen> = all.iter().map(|text| seen(text)).collect();
        let chosen = choose(&all, Usage { cluster: true, local: true });
        assert_eq!((&chosen.cluster[..], &chosen.local[..]), (cluster, local), "{all:?}");
        assert_eq!(chosen.has_any, has_any);
    }

    /// r ready, t serving and terminating, l local; N, Z hints for us, n, z for others (N157, N159).
    #[test]
    fn ready_then_last_each_in_its_scope() {
        check(&["r", "t", "lt"], &[0], &[2], true);
        check(&["t", "lt", "l"], &[0, 1], &[1], true);
        check(&["r"], &[0], &[], true);
        check(&["l", ""], &[], &[], false);
    }

    #[test]
    fn hints_count_if_all_have_one_and_one_is_for_us() {
        check(&["rZ", "rz"], &[0], &[], true);
        check(&["rZ", "r"], &[0, 1], &[], true);
        check(&["rz", "rz"], &[0, 1], &[], true);
        check(&["rZn", "rZN"], &[1], &[], true);
        check(&["rZn", "rzn"], &[0], &[], true);
        check(&["tz", "tZ"], &[0, 1], &[], true);
    }
}
