//! The image manager of a node (rules N60 to N63).
//!
//! Source: kubernetes v1.36.3 pkg/kubelet/images (`image_manager.go` `EnsureImageExists`,
//! `pullImage`; `puller.go`; `helpers.go`).

use std::collections::VecDeque;

use super::Slot;
use super::backoff::{self, Backoff};
use crate::base::{Duration, SimTime, Symbol};
use crate::model::PullPolicy;

/// What the start of a container finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ensured {
    /// The image is there.
    Present,
    /// It is not there and must not be pulled: ErrImageNeverPull.
    Never,
    /// A pull failed not long ago: ImagePullBackOff.
    BackOff,
    /// It will be pulled: see [`Images::next`].
    Asked,
}

/// A pull that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Whose.
    pub slot: Slot,
    /// For which container.
    pub container: u8,
    /// What.
    pub image: Symbol,
    /// Whether the limit of pulls a second forbids it: it has failed already and must not be told
    /// to [`Images::ended`] (rule N62).
    pub is_limited: bool,
}

#[derive(Clone, Copy, Debug)]
struct Request {
    slot: Slot,
    container: u8,
    image: Symbol,
    asked: SimTime,
    began: SimTime,
}

/// The image manager.
#[derive(Debug)]
pub struct Images {
    /// Pulls at the same time at most.
    max: usize,
    backoff: Backoff<(Slot, Symbol)>,
    waiting: VecDeque<Request>,
    running: Vec<Request>,
    /// Pulls a second that are let through, and at once (rule N62).
    limit: Option<(u64, u64)>,
    /// Tokens of the limit, [`TOKEN`] each, at an instant.
    tokens: (u64, SimTime),
}

/// One token.
const TOKEN: u64 = 1_000_000_000;

impl Images {
    /// Of a node with this configuration.
    #[must_use]
    pub fn new(is_serial: bool, parallel_max: Option<u32>, limit: Option<(u32, u32)>) -> Self {
        let limit = limit.map(|(rate, burst)| (u64::from(rate), u64::from(burst)));
        let most = |max: u32| usize::try_from(max).unwrap_or(usize::MAX).max(1);
        Self {
            max: if is_serial { 1 } else { parallel_max.map_or(usize::MAX, most) },
            backoff: Backoff::new(backoff::MAX),
            waiting: VecDeque::new(),
            running: Vec::new(),
            limit,
            tokens: (limit.map_or(0, |(_, burst)| burst * TOKEN), SimTime::default()),
        }
    }

    /// A container of the pod is to start.
    pub fn ensure(
        &mut self,
        (slot, container): (Slot, u8),
        image: Symbol,
        policy: PullPolicy,
        is_present: bool,
        now: SimTime,
    ) -> Ensured {
        match policy {
            PullPolicy::IfNotPresent | PullPolicy::Never if is_present => return Ensured::Present,
            PullPolicy::Never => return Ensured::Never,
            PullPolicy::IfNotPresent | PullPolicy::Always => {}
        }
        if self.backoff.blocked(&(slot, image), now).is_some() {
            return Ensured::BackOff;
        }
        self.waiting.push_back(Request { slot, container, image, asked: now, began: now });
        Ensured::Asked
    }

    /// The next pull that begins now, if one may.
    pub fn next(&mut self, now: SimTime) -> Option<Begin> {
        if self.running.len() >= self.max {
            return None;
        }
        let mut request = self.waiting.pop_front()?;
        request.began = now;
        let Request { slot, container, image, .. } = request;
        let is_limited = !self.take(now);
        if is_limited {
            self.backoff.push((slot, image), now, now);
        } else {
            self.running.push(request);
        }
        Some(Begin { slot, container, image, is_limited })
    }

    /// Takes a token of the limit, if there is one; gives whether the pull is let through.
    fn take(&mut self, now: SimTime) -> bool {
        let Some((rate, burst)) = self.limit else { return true };
        let (left, then) = self.tokens;
        let grown = now.saturating_since(then).as_nanos().saturating_mul(rate);
        let left = left.saturating_add(grown).min(burst * TOKEN);
        let taken = left.checked_sub(TOKEN);
        self.tokens = (taken.unwrap_or(left), now);
        taken.is_some()
    }

    /// A pull is over: how long it took, without and with its wait. The next may begin.
    pub fn ended(
        &mut self,
        slot: Slot,
        container: u8,
        is_ok: bool,
        now: SimTime,
    ) -> (Duration, Duration) {
        let found =
            self.running.iter().position(|run| (run.slot, run.container) == (slot, container));
        let Some(at) = found else { return (Duration::ZERO, Duration::ZERO) };
        let request = self.running.remove(at);
        if is_ok {
            self.backoff.clean(now);
        } else {
            self.backoff.push((slot, request.image), now, now);
        }
        (now.saturating_since(request.began), now.saturating_since(request.asked))
    }

    /// Until when the pull of an image is put off.
    #[must_use]
    pub fn blocked(&self, slot: Slot, image: Symbol, now: SimTime) -> Option<SimTime> {
        self.backoff.blocked(&(slot, image), now)
    }

    /// The slot is free: another pod may have it.
    pub fn forget(&mut self, slot: Slot) {
        self.backoff.forget(|(pod, _)| *pod == slot);
        self.waiting.retain(|request| request.slot != slot);
        self.running.retain(|request| request.slot != slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Interner;

    const IF_NOT: PullPolicy = PullPolicy::IfNotPresent;

    const fn at(millis: u64) -> SimTime {
        SimTime::at(Duration::ms(millis))
    }

    /// Rule N60: one at a time, in the order they were asked for.
    #[test]
    fn pulls_wait_for_each_other() {
        let image = Interner::default().intern("a:1");
        let mut images = Images::new(true, None, Some((5, 10)));
        for pod in 0..2 {
            let asked = images.ensure((Slot(pod), 0), image, IF_NOT, false, at(0));
            assert_eq!(asked, Ensured::Asked);
        }
        assert_eq!(images.next(at(0)).map(|begin| begin.slot), Some(Slot(0)));
        assert_eq!(images.next(at(0)), None);
        let took = images.ended(Slot(0), 0, true, at(700));
        assert_eq!(took, (Duration::ms(700), Duration::ms(700)));
        assert_eq!(images.next(at(700)).map(|begin| begin.slot), Some(Slot(1)));
        let took = images.ended(Slot(1), 0, true, at(1000));
        assert_eq!(took, (Duration::ms(300), Duration::ms(1000)));
    }

    /// Rules N61 and N63.
    #[test]
    fn policies_and_back_off() {
        let image = Interner::default().intern("a:1");
        let mut images = Images::new(false, Some(2), Some((5, 10)));
        let key = (Slot(0), 0);
        let mut ensure = |policy, is_present, now| {
            let ensured = images.ensure(key, image, policy, is_present, now);
            if images.next(now).is_some() {
                images.ended(Slot(0), 0, false, now);
            }
            ensured
        };
        assert_eq!(ensure(PullPolicy::Never, false, at(0)), Ensured::Never);
        assert_eq!(ensure(IF_NOT, true, at(0)), Ensured::Present);
        assert_eq!(ensure(IF_NOT, false, at(0)), Ensured::Asked);
        assert_eq!(ensure(PullPolicy::Always, true, at(9_999)), Ensured::BackOff);
        assert_eq!(ensure(PullPolicy::Always, true, at(10_000)), Ensured::Asked);
        assert_eq!(ensure(IF_NOT, false, at(29_999)), Ensured::BackOff);
        assert_eq!(ensure(IF_NOT, false, at(30_000)), Ensured::Asked);
    }

    /// Rule N62: ten at once, then five a second; what is too much fails.
    #[test]
    fn the_registry_limit_fails_pulls() {
        let image = Interner::default().intern("a:1");
        let mut images = Images::new(false, None, Some((5, 10)));
        let mut limited = |pod, now| {
            images.ensure((Slot(pod), 0), image, IF_NOT, false, now);
            images.next(now).expect("no limit on parallel pulls").is_limited
        };
        assert!((0..10).all(|pod| !limited(pod, at(0))));
        assert!(limited(10, at(199)));
        assert!(!limited(11, at(200)));
    }
}
