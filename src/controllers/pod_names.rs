//! The random ends of generated pod names.

use rand::Rng;

use crate::base::{Id, IdVec, Interner, Ref};
use crate::model::ObjectName;
use crate::record::PodName;
use crate::sim::Streams;

/// The names of the pods of all owners of one kind.
#[derive(Debug)]
pub(super) struct PodNames<I> {
    streams: Streams,
    /// The name of the streams: owners of different kinds may be called the same.
    stream: &'static str,
    rows: IdVec<I, Row>,
}

/// A walk through all suffixes that meets each once: two pods of one owner have the same name
/// only after 27⁵ others.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    life: Option<u32>,
    next: u32,
    stride: u32,
}

impl<I: Id> PodNames<I> {
    pub(super) fn new(stream: &'static str, streams: &Streams) -> Self {
        Self { streams: *streams, stream, rows: IdVec::new() }
    }

    /// The name of an owner's next pod.
    ///
    /// Source: kubernetes v1.36.3 apiserver/pkg/storage/names/generate.go (rule C7). Differs: no
    /// name is drawn twice, where the real API server refuses a taken one and draws again.
    pub(super) fn next(&mut self, of: Ref<I>, name: ObjectName, names: &Interner) -> PodName {
        let suffix = self.suffix(of, name, names);
        PodName::Generated { prefix: name.name, suffix }
    }

    /// The end of the name of an owner's next pod.
    pub(super) fn suffix(&mut self, of: Ref<I>, name: ObjectName, names: &Interner) -> u32 {
        let row = self.rows.grow_to(of.id);
        if row.life != Some(of.life) {
            let text = |symbol| names.resolve(symbol);
            let thing = format!("{}/{}", text(name.namespace), text(name.name));
            *row = Row::open(self.streams.open(self.stream, &thing), of.life);
        }
        let suffix = row.next;
        row.next = (suffix + row.stride) % PodName::SUFFIXES;
        suffix
    }
}

impl Row {
    fn open(mut rng: impl Rng, life: u32) -> Self {
        let mut draw = || rng.next_u32() % PodName::SUFFIXES;
        let next = draw();
        let stride = draw();
        // There are 27⁵ suffixes: a stride that 3 does not divide meets all of them.
        let stride = stride - stride % 3 + 1;
        let life = Some(life);
        Self { life, next, stride }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ReplicaSetId;

    #[test]
    fn names_of_one_set_differ_and_depend_on_its_name_alone() {
        let streams = Streams { seed: 7, replication: 0 };
        let mut names = Interner::new();
        let namespace = names.intern("default");
        let name = |names: &mut Interner, text| ObjectName { namespace, name: names.intern(text) };
        let (web, api) = (name(&mut names, "web"), name(&mut names, "api"));
        let of = |slot, life| Ref { id: ReplicaSetId::from_index(slot), life };
        let mut first = PodNames::new("pod-names", &streams);
        let mut drawn: Vec<PodName> =
            (0..2000).map(|_| first.next(of(0, 0), web, &names)).collect();
        let mut again = PodNames::new("pod-names", &streams);
        again.next(of(3, 0), api, &names);
        assert_eq!(again.next(of(3, 1), web, &names), drawn[0]);
        drawn.sort_unstable();
        drawn.dedup();
        assert_eq!(drawn.len(), 2000);
    }
}
