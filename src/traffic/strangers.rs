//! Calls to an address whose pod has gone, and which another pod has by now.
//!
//! Who still has the address of a pod that is gone (a proxy that is late, an old answer of DNS, a
//! load balancer) sends to whoever has it now. A pod of the same Service serves the call as any
//! other; a server of another application that listens on that port answers what it answers to
//! strangers: an error, which is no reason to try again or to leave the connection.
//!
//! Source: rules N128, N488. Differs: a server whose ports its manifest does not say listens on
//! every port; a connection to a stranger is not kept; calls through proxies of a mesh, which ask
//! for the name of whom they meet, are refused; who has the address of a pod's earlier sandbox
//! reaches the pod.

use crate::base::Ip;
use crate::cluster::{Cluster, Serving};
use crate::model::{PodRef, TargetPort};

use super::attempts::Door;
use super::{Call, Traffic};

impl Traffic {
    /// Who takes a new connection in place of a pod that is gone; `None`: nobody.
    #[cold]
    pub(super) fn instead(&self, call: &Call, cluster: &Cluster) -> Option<Door> {
        if self.mesh.makes(call) {
            return None;
        }
        let ip: Ip = cluster.last_address(call.server)?;
        let other = cluster.holder(ip)?;
        let row = self.servers.get(other)?;
        if row.state != Serving::Accepting || !row.is_up || row.is_hung {
            return None;
        }
        let pod = cluster.pod(other)?;
        if cluster.template_of(pod).services.contains(&call.service) {
            return Some(Door::Moved(other));
        }
        listens(other, call, cluster).then_some(Door::Stranger(other))
    }
}

/// Whether a pod's server listens on the port that a call goes to, as far as that is known.
fn listens(pod: PodRef, call: &Call, cluster: &Cluster) -> bool {
    let Some(row) = cluster.pod(pod) else { return false };
    let template = &cluster.template_of(row).template;
    let container = template.spec.containers.get(usize::from(template.server.unwrap_or(0)));
    let ports = container.map_or(&[][..], |container| &container.ports);
    let wanted = port_of(call, cluster);
    ports.is_empty() || wanted.is_none_or(|wanted| ports.iter().any(|port| port.port == wanted))
}

/// The port of its pods that a call goes to: the first one of its Service.
fn port_of(call: &Call, cluster: &Cluster) -> Option<u16> {
    let service = cluster.service(call.service)?;
    match service.spec.ports.first()?.target {
        TargetPort::Number(number) => Some(number),
        TargetPort::Name(_) => {
            let mut ports = service.slices.iter().flat_map(|slice| &slice.ports);
            ports.next().map(|port| port.port)
        }
    }
}
