//! EndpointSlices.

use seatrial::cluster::SliceEndpoint;
use serde_json::{Value, json};

use super::records::View;

/// A slice is called by its Service and its number: `web#0`.
pub(super) fn render(view: &View<'_>, out: &mut Vec<(String, Value)>) {
    let services = view.cluster.service_ids().filter_map(|id| view.cluster.service(id));
    for service in services {
        for slice in &service.slices {
            let name = format!("{}#{}", view.text(service.spec.name.name), slice.number);
            let endpoints = slice.endpoints.iter().map(|endpoint| row(endpoint, view));
            let mut ports: Vec<String> =
                slice.ports.iter().map(|port| port.port.to_string()).collect();
            ports.sort_unstable();
            let record = json!({ "endpoints": endpoints.collect::<Vec<_>>(), "ports": ports });
            out.push((name, record));
        }
    }
}

fn row(of: &SliceEndpoint, view: &View<'_>) -> Value {
    let endpoint = &of.endpoint;
    let zone = of.zone.map_or("", |zone| view.text(zone));
    let pod = super::record_pod::name_of(endpoint.pod, view);
    json!([pod, endpoint.ready, endpoint.serving, endpoint.terminating, zone])
}
