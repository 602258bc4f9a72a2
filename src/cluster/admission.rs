//! What the API server's admission says of pods that are created: quotas and the like.
//!
//! A plan asks before it creates; what it takes is noted in the plan, so that its later pods count
//! the earlier ones. When a write lands it is asked again.

use super::{Cluster, NewPod, Refusal};

/// What the pods of one plan take.
#[derive(Clone, Debug, Default)]
pub struct Charged {
    /// Injected failures that they used up.
    failures: u32,
}

impl Cluster {
    /// Lets the next `count` creations of pods fail with status 500: for tests of controllers.
    pub const fn fail_creations(&mut self, count: u32) {
        self.failing_creations = count;
    }

    /// Whether a pod may be created now, after those that are `charged`.
    ///
    /// # Errors
    /// If it may not.
    pub fn admit(&self, _new: &NewPod, charged: &mut Charged) -> Result<(), Refusal> {
        if charged.failures < self.failing_creations {
            charged.failures += 1;
            return Err(Refusal { code: 500, message: "Internal error occurred".to_owned() });
        }
        Ok(())
    }

    /// Settles what a plan was charged with besides its pods.
    pub(super) const fn settle_charges(&mut self, charged: &Charged) {
        self.failing_creations -= charged.failures;
    }
}
