//! Admission: what a new pod's containers ask for instead.
//!
//! Source: vertical-pod-autoscaler pkg/admission-controller/resource/pod/recommendation/
//! recommendation_provider.go, pkg/utils/vpa/limit_and_request_scaling.go, capping.go (rules A114,
//! A115). Differs: a LimitRange does not bound the result (rule A116).

use crate::model::{Amounts, VpaPolicy};

/// What a container asks for and may use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// Requests.
    pub requests: Amounts,
    /// Limits.
    pub limits: Amounts,
}

/// The requests and limits of a container with that target; what has no target stays.
#[must_use]
pub fn admit(declared: Admitted, target: Amounts, policy: Option<&VpaPolicy>) -> Admitted {
    let requests_only = policy.is_some_and(|policy| policy.requests_only);
    let one = |request: Option<i64>, limit: Option<i64>, target: Option<i64>| {
        let Some(target) = target else {
            return (request, limit);
        };
        match limit {
            Some(limit) if requests_only => (Some(target.min(limit)), Some(limit)),
            None => (Some(target), None),
            Some(limit) => (Some(target), Some(proportional(limit, request, target))),
        }
    };
    let (requests, limits) = (declared.requests, declared.limits);
    let (cpu, cpu_limit) = one(requests.cpu, limits.cpu, target.cpu);
    let (memory, memory_limit) = one(requests.memory, limits.memory, target.memory);
    Admitted {
        requests: Amounts { cpu, memory },
        limits: Amounts { cpu: cpu_limit, memory: memory_limit },
    }
}

/// A limit that stands to the target as it stood to the request.
fn proportional(limit: i64, request: Option<i64>, target: i64) -> i64 {
    match request.filter(|request| *request > 0 && *request != limit) {
        None => target,
        Some(request) => {
            let wide = i128::from(limit) * i128::from(target) / i128::from(request);
            i64::try_from(wide).unwrap_or(i64::MAX)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_keep_their_proportion() {
        let cpu = |cpu| Amounts { cpu, memory: None };
        let of = |request, limit| {
            let declared = Admitted { requests: cpu(request), limits: cpu(limit) };
            let admitted = admit(declared, cpu(Some(250)), None);
            (admitted.requests.cpu, admitted.limits.cpu)
        };
        assert_eq!(of(Some(100), Some(300)), (Some(250), Some(750)), "A115");
        assert_eq!(of(Some(100), Some(100)), (Some(250), Some(250)), "A115: guaranteed stays");
        assert_eq!(of(None, Some(100)), (Some(250), Some(250)), "A115");
        assert_eq!(of(Some(100), None), (Some(250), None), "A115");
        assert_eq!(of(Some(30), Some(100)), (Some(250), Some(833)), "A115: truncated");
    }

    #[test]
    fn requests_only_stays_below_the_limit() {
        let cpu = |cpu| Amounts { cpu: Some(cpu), memory: None };
        let policy = VpaPolicy {
            container: None,
            is_off: false,
            min: Amounts::default(),
            max: Amounts::default(),
            cpu: true,
            memory: true,
            requests_only: true,
        };
        let declared = Admitted { requests: cpu(100), limits: cpu(200) };
        let admitted = admit(declared, cpu(250), Some(&policy));
        assert_eq!((admitted.requests, admitted.limits), (cpu(200), cpu(200)), "A115");
    }
}
