//! Every kind of layer, both ways out, and what could break a layout.

use super::*;

fn one(x: Axis, y: Axis, layer: Layer) -> Figure {
    Figure::new("A <title> & more", x).panel(Panel::new(y).layer(layer))
}

/// Draws both ways, twice, and checks form and size.
fn check(figure: &Figure) -> String {
    let svg = render_svg(figure);
    assert_eq!(svg, render_svg(figure));
    let mut open: Vec<&str> = Vec::new();
    for tag in svg.split('<').skip(1) {
        let (inside, _) = tag.split_once('>').expect("every tag is closed");
        let name = inside.split([' ', '/']).find(|s| !s.is_empty()).unwrap_or("");
        if inside.starts_with('/') {
            assert_eq!(open.pop(), Some(name));
        } else if !inside.ends_with('/') {
            open.push(name);
        }
    }
    assert!(open.is_empty() && !svg.contains("NaN") && !svg.contains("inf"));
    let png = render_png(figure);
    assert!(png == render_png(figure));
    let mut decoder = png::Decoder::new(std::io::Cursor::new(&png));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let height = svg.split("height=\"").nth(1).and_then(|s| s.split('"').next()).unwrap();
    assert_eq!((info.width, info.height), (2000, 2 * height.parse::<u32>().unwrap()));
    assert!(pixels.iter().any(|p| *p < 128));
    svg
}

fn numbers(unit: Unit) -> Axis {
    Axis::new("y", unit)
}

#[test]
fn every_kind_of_layer_is_drawn() {
    let points =
        vec![(0.0, 1.0), (10.0, 3.0), (20.0, f64::NAN), (30.0, f64::INFINITY), (40.0, 2.0)];
    let bar = Bar { at: 1.0, value: 2.0, interval: Some((1.0, 3.0)) };
    let row = Estimate { row: 1, value: 0.1, low: -0.1, high: 0.2 };
    let names = || Axis::names("", vec!["a".to_owned(), "b".to_owned()]);
    let name = || "series".to_owned();
    let role = Role::Series(1);
    let stack =
        vec![Stack::new(name(), role, vec![1.0, 0.0]), Stack::new("b", Role::Ok, vec![2.0])];
    let cases = [
        one(Axis::clock(), numbers(Unit::Count), Layer::line(name(), role, points.clone())),
        one(Axis::clock(), numbers(Unit::Number).log(), Layer::step(name(), role, points)),
        one(Axis::clock(), numbers(Unit::Bytes), Layer::stacked(vec![0.0, 5.0], stack)),
        one(
            Axis::clock(),
            numbers(Unit::Share),
            Layer::band(name(), role, vec![(0.0, 0.1, 0.2), (9.0, 0.2, 0.4)]),
        ),
        one(names(), numbers(Unit::Number), Layer::Bars { name: name(), role, bars: vec![bar] }),
        one(
            numbers(Unit::Change),
            names(),
            Layer::Estimates { name: name(), role, rows: vec![row] },
        ),
        one(
            numbers(Unit::Seconds).log(),
            Axis::cumulative("share"),
            Layer::cdf(name(), role, vec![0.0, 0.1, 3.0]),
        ),
        one(Axis::clock().range(0.0, 9.0), numbers(Unit::Number), Layer::level(name(), role, 4.0)),
    ];
    for figure in &cases {
        let svg = check(figure);
        assert!(svg.contains("data-name=\"series\"") && !svg.contains("no data"), "{figure:?}");
    }
}

#[test]
fn nothing_to_draw_is_said_in_words() {
    let none = || Layer::line("x", Role::Ok, vec![(1.0, f64::NAN)]);
    for figure in [
        Figure::new("", Axis::clock()),
        one(Axis::clock(), numbers(Unit::Count), none()),
        one(Axis::clock().log(), numbers(Unit::Count).log(), none()),
        one(numbers(Unit::Seconds).log(), Axis::cumulative("y"), Layer::cdf("x", Role::Ok, vec![])),
        one(Axis::names("", vec![]), numbers(Unit::Count), Layer::stacked(vec![], vec![])),
    ] {
        assert!(check(&figure).contains("no data"), "{figure:?}");
    }
}

#[test]
fn all_zero_is_data() {
    let zeros = Layer::line("failed", Role::Failure(0), vec![(0.0, 0.0), (9.0, 0.0)]);
    assert!(!check(&one(Axis::clock(), numbers(Unit::Count), zeros)).contains("no data"));
}

#[test]
fn a_million_points_make_a_small_file_that_keeps_the_spike() {
    let points = (0..1_000_000).map(|i| {
        let x = f64::from(i);
        (x, if i == 500_001 { 900.0 } else { f64::from(i % 7) })
    });
    let figure =
        one(Axis::clock(), numbers(Unit::Count), Layer::line("y", Role::Ok, points.collect()));
    let svg = render_svg(&figure);
    assert!(svg.len() < 80_000, "{}", svg.len());
    let top = |s: &str| {
        s.split_whitespace()
            .filter_map(|p| p.split_once(',')?.1.parse::<f64>().ok())
            .fold(1e9, f64::min)
    };
    let line = svg.split("points=\"").nth(1).and_then(|s| s.split('"').next()).unwrap();
    assert!(top(line) < 1500.0, "the spike reaches far up: {}", top(line));
}

#[test]
fn absurd_texts_do_not_break_the_layout() {
    let long = "a very long name without end ".repeat(20);
    let layers =
        (0..12).map(|i| Layer::line(long.clone(), Role::Series(i), vec![(0.0, 1.0), (1e9, 1e12)]));
    let mut figure = one(
        Axis::new(long.clone(), Unit::Clock),
        Axis::new(long.clone(), Unit::Count),
        Layer::level("", Role::Muted, 0.0),
    );
    figure.panels[0].layers.extend(layers);
    let figure = figure
        .subtitle(long.clone())
        .note(long.clone())
        .marker(5e8, long.clone())
        .span(9.9e8, 2e9, long);
    check(&figure);
}
