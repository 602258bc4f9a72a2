//! Calls that come back to where they started, and services that nobody stands behind.

use std::collections::BTreeMap;

use crate::base::Interner;
use crate::model::{Model, ObjectName, ServiceSpec, Template};

/// The templates whose pods stand behind each Service, by the Service's index.
pub(super) fn behind<'t>(
    services: &[ServiceSpec],
    templates: &[&'t Template],
) -> Vec<Vec<&'t Template>> {
    let selects = |service: &ServiceSpec, template: &Template| {
        service.selects(template.workload.name.namespace, &template.labels)
    };
    let of = |service| templates.iter().copied().filter(move |t| selects(service, t));
    services.iter().map(|service| of(service).collect()).collect()
}

/// The first cycle of calls, as names of Services, the first again at the end.
pub(super) fn first_cycle(
    model: &Model,
    behind: &[Vec<&Template>],
    names: &Interner,
) -> Option<Vec<String>> {
    let index: BTreeMap<ObjectName, usize> =
        model.services.iter().enumerate().map(|(i, s)| (s.name, i)).collect();
    let calls = |service: usize| -> Vec<usize> {
        let servers = behind[service].iter().filter_map(|t| t.server.map(|s| t.behavior(s.into())));
        servers
            .flat_map(|b| b.calls.iter().filter_map(|c| index.get(&c.to.service()?).copied()))
            .collect()
    };
    let mut done = vec![false; model.services.len()];
    for start in 0..model.services.len() {
        let mut path = Vec::new();
        if let Some(from) = walk(start, &calls, &mut path, &mut done) {
            let name = |i: &usize| names.resolve(model.services[*i].name.name).to_owned();
            let mut cycle: Vec<String> = path[from..].iter().map(name).collect();
            cycle.push(cycle[0].clone());
            return Some(cycle);
        }
    }
    None
}

/// Depth first, without recursion: chains may be as long as there are services.
fn walk(
    start: usize,
    calls: &impl Fn(usize) -> Vec<usize>,
    path: &mut Vec<usize>,
    done: &mut [bool],
) -> Option<usize> {
    let mut open: Vec<(usize, Vec<usize>)> = vec![(start, calls(start))];
    path.push(start);
    while let Some((at, next)) = open.last_mut() {
        match next.pop() {
            Some(to) if done[to] => {}
            Some(to) => {
                if let Some(from) = path.iter().position(|p| *p == to) {
                    return Some(from);
                }
                path.push(to);
                open.push((to, calls(to)));
            }
            None => {
                done[*at] = true;
                open.pop();
                path.pop();
            }
        }
    }
    None
}
