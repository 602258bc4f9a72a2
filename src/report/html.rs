//! One page with the printed summary, the charts and all numbers: a file that needs nothing else.

use std::fmt::Write;

use super::chart::{Figure, render_svg};
use super::files::Results;
use super::words;

const STYLE: &str = "
body { font: 16px/1.5 system-ui, sans-serif; max-width: 1060px; margin: 2rem auto; padding: 0 1rem;
  color: #1b1f24; background: #fff; }
pre { font: 13px/1.45 ui-monospace, monospace; background: #f4f5f7; padding: 1rem; overflow-x: auto;
  border-radius: 6px; }
figure { margin: 2rem 0; } figure svg { width: 100%; height: auto; }
table { border-collapse: collapse; font-size: 14px; width: 100%; }
td, th { text-align: left; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #e3e6ea;
  vertical-align: top; } td.n { white-space: nowrap; }
code { font: 13px ui-monospace, monospace; } summary { cursor: pointer; }
";

/// The page.
#[must_use]
pub(super) fn page(results: &Results<'_>, figures: &[(String, Figure)]) -> String {
    let model = &results.facts.model;
    let (name, about) = (escaped(&model.name), escaped(&model.about));
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name} · seatrial</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <h1>{name}</h1>\n<p>{about}</p>\n<pre>{}</pre>\n",
        escaped(results.text)
    );
    for (_, figure) in figures {
        page.push_str("<figure>");
        page.push_str(&render_svg(figure));
        page.push_str("</figure>\n");
    }
    page.push_str("<details><summary>All numbers</summary>\n<table>\n");
    page.push_str("<tr><th>path</th><th>value</th><th>what it is</th></tr>\n");
    for (path, number) in results.summary.iter().filter(|(_, number)| number.value.is_some()) {
        let (path, about) = (escaped(&path.to_string()), escaped(number.about));
        let value = escaped(&words::with_interval(number));
        // Writing to a string does not fail.
        let _ok = writeln!(
            page,
            "<tr><td><code>{path}</code></td><td class=\"n\">{value}</td><td>{about}</td></tr>"
        );
    }
    page.push_str("</table>\n</details>\n</body>\n</html>\n");
    page
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
