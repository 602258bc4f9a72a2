//! Faults that a scenario injects: machines lose power, shut down, report that they are not ready,
//! are cut off from others or the API server, recover; kubelets are started anew; network plugins
//! fail, sandboxes are lost; metrics-server is away.
//!
//! What follows from one is everybody's own business: the kubelet's processes end, callers get no
//! answer, the node lifecycle notices that a Lease is not renewed, a kubelet that is cut off writes
//! nothing and hears nothing (rules N406, N407).
//!
//! Ours, not Kubernetes'.

use crate::cluster::{Cluster, Plan, Write};
use crate::model::{Fault, FaultPlace, NodeId};

/// Asks for what a fault does. A machine that it has struck already is left as it is.
///
/// # Errors
/// If there is no such node by now, in kubectl's words.
pub fn strike(fault: Fault, cluster: &Cluster, plan: &mut Plan) -> Result<(), String> {
    let place = match fault {
        Fault::Crash(place)
        | Fault::NotReady(place)
        | Fault::Shutdown(place)
        | Fault::KubeletRestart(place)
        | Fault::CniDown(place)
        | Fault::SandboxLoss(place)
        | Fault::Recover(place)
        | Fault::Cut(place, _) => place,
        Fault::MetricsServer { is_up } => {
            plan.push(Write::MetricsServer { is_up });
            return Ok(());
        }
    };
    let nodes = nodes_of(place, cluster)?;
    match fault {
        Fault::Cut(_, from) => {
            plan.push(Write::Cut { place, from: Some(from), nodes });
            return Ok(());
        }
        Fault::Recover(_) if cluster.is_cut(place) => {
            plan.push(Write::Cut { place, from: None, nodes: nodes.clone() });
        }
        _ => {}
    }
    for node in nodes {
        let row = &cluster.nodes()[node];
        if row.cni_is_down && matches!(fault, Fault::Recover(_)) {
            plan.push(Write::NodeCni { node, is_up: true });
        }
        let write = match fault {
            Fault::Crash(_) => Write::NodeUp { node, is_up: false },
            Fault::NotReady(_) if row.is_up => Write::NodeReady { node, ready: false },
            Fault::Shutdown(_) if row.is_up => Write::NodeShutdown { node },
            Fault::KubeletRestart(_) if row.is_up => Write::KubeletRestart { node },
            Fault::CniDown(_) => Write::NodeCni { node, is_up: false },
            Fault::SandboxLoss(_) if row.is_up => Write::SandboxLoss { node },
            Fault::NotReady(_)
            | Fault::Shutdown(_)
            | Fault::KubeletRestart(_)
            | Fault::SandboxLoss(_)
            | Fault::MetricsServer { .. }
            | Fault::Cut(..) => continue,
            // A kubelet that was cut off reports by itself.
            Fault::Recover(_) if row.is_up && row.is_cut() => continue,
            Fault::Recover(_) if row.is_up => Write::NodeReady { node, ready: true },
            Fault::Recover(_) => Write::NodeUp { node, is_up: true },
        };
        plan.push(write);
    }
    Ok(())
}

fn nodes_of(place: FaultPlace, cluster: &Cluster) -> Result<Vec<NodeId>, String> {
    match place {
        FaultPlace::Node(name) => {
            let missing = || {
                let name = cluster.names().resolve(name);
                format!("Error from server (NotFound): nodes \"{name}\" not found")
            };
            cluster.node_named(name).map(|node| vec![node]).ok_or_else(missing)
        }
        FaultPlace::Zone(zone) => {
            let nodes = cluster.nodes().enumerate();
            let there = nodes.filter(|(_, node)| !node.is_gone && node.spec.zone == Some(zone));
            Ok(there.map(|(id, _)| id).collect())
        }
    }
}
