//! Marker labels: staggered above the plot so that none meets another or a line.
//!
//! ```text
//! ╎first                row 1
//! ╎     ╎second   third╎  row 0
//! ┼─────┼──────────────┼┐
//! ```

use super::chart::Marker;
use super::chart_layout::SMALL_EM;
use super::chart_scale::Map;
use super::font::{self, Weight};

/// Labels are stacked at most so high; further ones are left out.
const MARKER_ROWS: usize = 6;
/// Longer labels are cut, in pixels.
const LABEL_ROOM: f64 = 450.0;

/// The label of a marker: in which row above the plot, and from where to where.
#[derive(Clone, Debug)]
pub(super) struct Flag {
    /// Of its line.
    pub(super) x: f64,
    /// Where the label begins and ends.
    pub(super) span: (f64, f64),
    /// 0 is next to the plot.
    pub(super) row: usize,
    pub(super) label: String,
}

/// Labels stand to the right of their lines, near the right edge to the left. Each takes the lowest
/// row in which it meets neither a label nor a line: right ones from right to left, then left ones
/// from left to right, so that every label stands above the lines that pass below it.
pub(super) fn flags(markers: &[&Marker], x: &Map, plot: (f64, f64), page: f64) -> Vec<Flag> {
    let mut places = flag_places(markers, x, plot);
    let mut turned_at = f64::INFINITY;
    let turn = |(x, label): (f64, String)| {
        let width = font::width(&label, SMALL_EM, Weight::Regular);
        let right = (x + 5.0, x + 5.0 + width);
        let turned = right.1 > page - 6.0 || right.1 + 8.0 > turned_at;
        if turned {
            turned_at = x;
        }
        let left = (x - 5.0 - width).max(4.0);
        let span = if turned { (left, left + width) } else { right };
        (turned, Flag { x, span, row: 0, label })
    };
    let (mut left, right): (Vec<_>, Vec<_>) =
        places.drain(..).map(turn).partition(|(turned, _)| *turned);
    left.reverse();
    let mut flags: Vec<Flag> = Vec::new();
    for (_, flag) in right.into_iter().chain(left) {
        let row = flags.iter().filter(|other| meet(other, &flag)).map(|f| f.row + 1).max();
        flags.push(Flag { row: row.unwrap_or(0), ..flag });
    }
    flags.retain(|flag| flag.row < MARKER_ROWS);
    flags
}

/// Label and line together.
fn meet(a: &Flag, b: &Flag) -> bool {
    let reach = |f: &Flag| (f.span.0.min(f.x), f.span.1.max(f.x));
    let ((a0, a1), (b0, b1)) = (reach(a), reach(b));
    a0 - 8.0 < b1 && b0 - 8.0 < a1
}

/// The marked places within the axis, from right to left; what is at one place shares a label.
fn flag_places(markers: &[&Marker], map: &Map, (left, right): (f64, f64)) -> Vec<(f64, String)> {
    let room = right - left;
    let mut places: Vec<(f64, &str)> = Vec::new();
    for marker in markers {
        let share = map.place(marker.at).filter(|_| map.spans(marker.at));
        places.extend(share.map(|share| (left + share * room, marker.label.as_str())));
    }
    places.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut merged: Vec<(f64, String)> = Vec::new();
    for (x, label) in places {
        match merged.last_mut().filter(|(last, _)| last - x < 1.0) {
            Some((_, labels)) => *labels = format!("{label}, {labels}"),
            None => merged.push((x, label.to_owned())),
        }
    }
    let cut = |label: &str| font::fit(label, SMALL_EM, Weight::Regular, LABEL_ROOM);
    merged.into_iter().map(|(x, label)| (x, cut(&label))).collect()
}

#[cfg(test)]
mod tests {
    use super::super::chart::Scale;
    use super::*;

    fn laid(at: &[f64]) -> Vec<Flag> {
        let map = Map { lo: 0.0, hi: 100.0, scale: Scale::Linear };
        let mark = |v: &f64| Marker { at: *v, until: None, label: format!("something at {v}") };
        let markers: Vec<Marker> = at.iter().map(mark).collect();
        flags(&markers.iter().collect::<Vec<_>>(), &map, (50.0, 970.0), 1000.0)
    }

    #[test]
    fn marker_labels_meet_no_label_and_no_line() {
        for at in [
            &[1.0, 2.0, 3.0][..],
            &[90.0, 96.0, 99.0],
            &[80.0, 88.0, 95.0],
            &[5.0, 50.0, 60.0, 99.9],
        ] {
            let flags = laid(at);
            assert_eq!(flags.len(), at.len());
            for a in &flags {
                assert!(a.span.0 > 0.0 && a.span.1 < 1000.0, "{flags:?}");
                for b in flags.iter().filter(|b| (b.x - a.x).abs() > 0.1) {
                    let same_row = a.row == b.row && a.span.0 < b.span.1 && b.span.0 < a.span.1;
                    let crossed = b.row >= a.row && (a.span.0..a.span.1).contains(&b.x);
                    assert!(!same_row && !crossed, "{a:?} {b:?}");
                }
            }
        }
    }

    #[test]
    fn markers_at_one_place_share_a_label() {
        assert_eq!(laid(&[50.0, 50.01])[0].label, "something at 50, something at 50.01");
    }
}
