//! Stacks: series on top of each other, as areas that leave no seam and hide no rare failure.

use super::chart::{Shape, Stack};
use super::chart_layers::{Frame, columns, series_group};
use super::chart_paint::{Group, Mark, Paint, area};

/// What is above zero is at least this high in a stack, in pixels.
const THIN: f64 = 1.0;

/// What is missing or not finite counts as zero.
pub(super) fn height(series: &Stack, i: usize) -> f64 {
    series.values.get(i).copied().filter(|v| v.is_finite()).unwrap_or(0.0).max(0.0)
}

/// The topmost first, each reaching a little below the next, so that no seam shows between them.
pub(super) fn stack(x: &[f64], series: &[Stack], shape: Shape, frame: &Frame) -> Vec<Group> {
    let placed: Vec<(usize, f64)> =
        x.iter().enumerate().filter_map(|(i, v)| Some((i, frame.x(*v)?))).collect();
    let kept = stack_columns(&placed, series);
    let mut floor = vec![0.0; kept.len()];
    let mut groups = Vec::new();
    for one in series {
        let values: Vec<f64> = kept.iter().map(|(i, _)| height(one, *i)).collect();
        let roof: Vec<f64> = floor.iter().zip(&values).map(|(f, v)| f + v).collect();
        let to_y = |v: &f64| frame.y(*v).unwrap_or_else(|| frame.ground());
        let edges: Vec<(f64, f64, f64)> = kept
            .iter()
            .zip(floor.iter().zip(&roof))
            .map(|((_, x), (low, high))| {
                let (low, high) = (to_y(low), to_y(high));
                let seen = high < low;
                let lower = if low < frame.ground() { low + 0.7 } else { low };
                if seen { (*x, lower, high.min(low - THIN)) } else { (*x, low, low) }
            })
            .collect();
        let marks = areas(&edges, shape, frame, Paint::solid(one.role.rgb()));
        groups.push(series_group(&one.name, frame, marks));
        floor = roof;
    }
    groups.reverse();
    groups
}

/// Of each column the first and last point, and where each series is greatest.
fn stack_columns(placed: &[(usize, f64)], series: &[Stack]) -> Vec<(usize, f64)> {
    let mut kept = Vec::new();
    for column in columns(placed.len(), |i| placed[i].1) {
        let mut keep = vec![column.start, column.end - 1];
        for one in series {
            let by_height = |a: &usize, b: &usize| {
                height(one, placed[*a].0).total_cmp(&height(one, placed[*b].0))
            };
            keep.extend(column.clone().max_by(by_height));
        }
        keep.sort_unstable();
        keep.dedup();
        kept.extend(keep.into_iter().map(|i| placed[i]));
    }
    kept
}

/// One area for each run in which there is something to see. `edges` are `(x, low, high)`.
fn areas(edges: &[(f64, f64, f64)], shape: Shape, frame: &Frame, paint: Paint) -> Vec<Mark> {
    let right = frame.rect.x + frame.rect.w;
    let outline: Vec<(f64, f64, f64)> = match shape {
        Shape::Lines => edges.to_vec(),
        Shape::Steps => {
            let next = edges.iter().skip(1).map(|e| e.0).chain([right]);
            let both = |(e, end): (&(f64, f64, f64), f64)| [*e, (end.max(e.0), e.1, e.2)];
            edges.iter().zip(next).flat_map(both).collect()
        }
    };
    let seen = |e: &(f64, f64, f64)| e.1 - e.2 > 1e-9;
    let mut marks = Vec::new();
    let mut run: Vec<(f64, f64, f64)> = Vec::new();
    for (i, edge) in outline.iter().enumerate() {
        let beside = [i.checked_sub(1), Some(i + 1)].into_iter().flatten();
        let near = shape == Shape::Lines && beside.filter_map(|j| outline.get(j)).any(seen);
        if seen(edge) || near {
            run.push(*edge);
        } else if !run.is_empty() {
            marks.push(area(std::mem::take(&mut run), paint));
        }
    }
    if !run.is_empty() {
        marks.push(area(run, paint));
    }
    marks
}

#[cfg(test)]
mod tests {
    use super::super::chart::Role;
    use super::super::chart_layers::tests::frame;
    use super::*;

    #[test]
    fn a_rare_failure_in_a_stack_is_seen_and_none_is_not() {
        let series = [
            Stack::new("ok", Role::Ok, vec![5.0, 5.0, 5.0]),
            Stack::new("failed", Role::Failure(0), vec![0.0, 0.001, 0.0]),
        ];
        let groups = stack(&[0.0, 40.0, 60.0], &series, Shape::Steps, &frame());
        let [Mark::Area { edges, .. }] = groups[0].marks.as_slice() else { panic!("{groups:?}") };
        assert_eq!((edges[0].0, edges[1].0), (40.0, 60.0));
        assert!(edges[0].1 - edges[0].2 >= THIN);
    }
}
