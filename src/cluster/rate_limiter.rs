//! How long keys of a work queue wait that are put back.

use crate::base::{Duration, LookupMap, SimTime};
use crate::model::ObjectKey;

use super::Requeue;

/// How long a key waits after failed looks: doubled each time (rule C16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub base: Duration,
    /// At most.
    pub max: Duration,
    /// After so many failures a key is given up until something wakes it (rule C17).
    pub tries: Option<u32>,
    /// Whether all keys of the queue share a bucket of 100 that gets 10 a second.
    pub has_bucket: bool,
}

impl Backoff {
    /// The default of work queues.
    pub const DEFAULT: Self =
        Self { base: Duration::ms(5), max: Duration::secs(1000), tries: None, has_bucket: true };

    /// How long to wait after so many failures in a row, 1 at least; `None`: the key is given up.
    #[must_use]
    pub fn after(&self, failures: u32) -> Option<Duration> {
        if self.tries.is_some_and(|tries| failures > tries) {
            return None;
        }
        let doubled = failures.saturating_sub(1).min(40);
        Some(Duration::ns(self.base.as_nanos().saturating_mul(1 << doubled)).min(self.max))
    }
}

/// The rate limiter of one work queue: the longer of a key's own back-off and what the shared
/// bucket makes it wait.
///
/// Source: kubernetes v1.36.3 client-go/util/workqueue/default_rate_limiters.go
/// `DefaultTypedControllerRateLimiter` (rule C16).
#[derive(Debug)]
pub struct RateLimiter {
    law: Backoff,
    /// Failed looks in a row.
    failures: LookupMap<ObjectKey, u32>,
    /// When the bucket would be full again, if nothing more is taken.
    full_at: SimTime,
}

impl RateLimiter {
    const GAP: Duration = Duration::ms(100);
    const BURST: u64 = 100;

    /// Without failures, and with a full bucket.
    #[must_use]
    pub fn new(law: Backoff) -> Self {
        Self { law, failures: LookupMap::new(), full_at: SimTime::ZERO }
    }

    /// A look at a key ended: how long it waits to be looked at again.
    pub fn after(&mut self, key: ObjectKey, requeue: Requeue, now: SimTime) -> Option<Duration> {
        let delay = match requeue {
            Requeue::Never => None,
            Requeue::After(delay) => Some(delay),
            Requeue::Failed | Requeue::Limited => self.fail(key, now),
        };
        if requeue != Requeue::Failed {
            self.forget(key);
        }
        delay
    }

    /// A look at a key failed: how long it waits; `None`: it is given up.
    fn fail(&mut self, key: ObjectKey, now: SimTime) -> Option<Duration> {
        let failures = self.failures.get(&key).copied().unwrap_or(0) + 1;
        let own = self.law.after(failures);
        match own {
            Some(_) => self.failures.insert(key, failures),
            None => self.failures.remove(&key),
        };
        Some(own?.max(self.take(now)))
    }

    /// A look at a key went well.
    fn forget(&mut self, key: ObjectKey) {
        if !self.failures.is_empty() {
            self.failures.remove(&key);
        }
    }

    /// The bucket as a virtual schedule: it lacks `full_at − now` of its burst.
    fn take(&mut self, now: SimTime) -> Duration {
        if !self.law.has_bucket {
            return Duration::ZERO;
        }
        self.full_at = self.full_at.max(now) + Self::GAP;
        self.full_at.saturating_since(now).saturating_sub(Self::GAP * Self::BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Id;
    use crate::model::DeploymentId;

    /// Rule C16: 5 ms doubled; the shared bucket of 100 delays the rest by 100 ms each.
    #[test]
    fn a_key_waits_twice_as_long_each_time_and_all_share_a_bucket() {
        let key = |n| ObjectKey::Deployment(DeploymentId::from_index(n));
        let mut limiter = RateLimiter::new(Backoff::DEFAULT);
        let at = SimTime::ZERO + Duration::secs(7);
        let waits: Vec<_> = (0..4).map(|_| limiter.fail(key(0), at).unwrap()).collect();
        assert_eq!(waits, [5, 10, 20, 40].map(Duration::ms));
        limiter.forget(key(0));
        assert_eq!(limiter.fail(key(0), at), Some(Duration::ms(5)));
        for n in 1..96 {
            assert_eq!(limiter.fail(key(n), at), Some(Duration::ms(5)));
        }
        assert_eq!(limiter.fail(key(96), at), Some(Duration::ms(100)));
        assert_eq!(limiter.fail(key(97), at), Some(Duration::ms(200)));
    }

    /// Rule C17: a Deployment is given up after 15 tries.
    #[test]
    fn a_key_may_be_given_up() {
        let law = Backoff { tries: Some(2), ..Backoff::DEFAULT };
        let mut limiter = RateLimiter::new(law);
        let key = ObjectKey::Cluster;
        let waits = [(); 4].map(|()| limiter.fail(key, SimTime::ZERO).is_some());
        assert_eq!(waits, [true, true, false, true]);
    }
}
