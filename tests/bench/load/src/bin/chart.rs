//! Draws docs/performance.svg from tests/bench/results.tsv: what a message costs the client.
//!
//! ```text
//! cargo run --release --manifest-path tests/bench/Cargo.toml -p rocketmq-load --bin chart
//! ```

use std::error::Error;
use std::fmt::Write;
use std::fs;
use std::path::Path;

/// What is shown of each mode: its name in the table, its title, and what the Java client 4.9.8 took
/// (docs/design.md, section 11).
const MODES: [(&str, &str, f64); 4] = [
    ("one", "one at a time", 65.0),
    ("tasks-256", "256 tasks at once", 23.0),
    ("batch-32", "batches of 32", 5.8),
    ("oneway", "oneway", 16.0),
];
/// Who is shown: the name in the table, the title, the class of its bars.
const WHO: [(&str, &str, &str); 4] = [
    ("floor", "the floor: ready-made frames", "floor"),
    ("tokio", "this producer, on tokio", "ours"),
    ("java", "Java client 4.9.8 *", "java"),
    ("peer", "rocketmq-client-rust 1.0.0", "peer"),
];

const WIDTH: f64 = 800.0;
/// Where the bars begin and end.
const LEFT: f64 = 165.0;
const RIGHT: f64 = 730.0;
const TOP: f64 = 96.0;
const BAR: f64 = 17.0;
const GROUP: f64 = 4.0 * BAR + 22.0;
/// The ends of the scale, in µs.
const SCALE: [f64; 2] = [0.05, 200.0];

/// Colours that can be read on white and on black; a viewer that tells which gets better ones.
const STYLE: &str = "
text { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 12px; fill: #6e7781; }
.title { font-size: 15px; font-weight: 600; }
.mode { font-size: 13px; font-weight: 600; }
.grid { stroke: #8c959f; stroke-opacity: 0.35; }
.floor { fill: #8c959f; } .ours { fill: #1f883d; } .java { fill: #bf8700; } .peer { fill: #cf4f4f; }
.value.ours { font-weight: 700; }
.value { fill: #6e7781; }
@media (prefers-color-scheme: light) { text, .value { fill: #1f2328; } }
@media (prefers-color-scheme: dark) { text, .value { fill: #e6edf3; } .ours { fill: #3fb950; } .value.ours { fill: #e6edf3; } }
";

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let results = fs::read_to_string(root.join("tests/bench/results.tsv"))?;
    fs::write(root.join("docs/performance.svg"), draw(&results)?)?;
    Ok(())
}

fn draw(results: &str) -> Result<String, Box<dyn Error>> {
    let bottom = TOP + GROUP * MODES.len() as f64;
    let height = bottom + 52.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Processor time of the client for each message\">\n<style>{STYLE}</style>\n"
    );
    text(
        &mut svg,
        [16.0, 26.0],
        "title",
        "Processor time of the client for each message of 1 KiB",
    );
    text(
        &mut svg,
        [16.0, 45.0],
        "",
        "µs, less is better; the scale is logarithmic: each line is ten times the one before",
    );
    legend(&mut svg)?;
    grid(&mut svg, bottom)?;
    for (row, (mode, title, java)) in (0..).zip(MODES) {
        let top = TOP + GROUP * f64::from(row);
        text(&mut svg, [16.0, top + 2.0 * BAR + 4.0], "mode", title);
        for (bar, (who, _, class)) in (0..).zip(WHO) {
            let cpu = match who {
                "java" => java,
                _ => cpu(results, mode, who)
                    .ok_or_else(|| format!("{who} is not measured in mode {mode}"))?,
            };
            let y = top + BAR * f64::from(bar);
            let end = x(cpu);
            writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{}\" rx=\"2\"/>",
                end - LEFT,
                BAR - 3.0
            )?;
            text(
                &mut svg,
                [end + 6.0, y + BAR - 6.0],
                &format!("value {class}"),
                &number(cpu),
            );
        }
    }
    text(
        &mut svg,
        [16.0, height - 12.0],
        "",
        "* measured earlier, on another machine: docs/design.md, section 11. All others beside each other: tests/scripts/bench.sh",
    );
    svg.push_str("</svg>\n");
    Ok(svg)
}

fn legend(svg: &mut String) -> Result<(), Box<dyn Error>> {
    let mut left = 16.0;
    for (_, title, class) in WHO {
        writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{left}\" y=\"60\" width=\"11\" height=\"11\" rx=\"2\"/>"
        )?;
        text(svg, [left + 16.0, 70.0], "", title);
        left += 42.0 + 6.3 * title.chars().count() as f64;
    }
    Ok(())
}

fn grid(svg: &mut String, bottom: f64) -> Result<(), Box<dyn Error>> {
    for value in [0.1, 1.0, 10.0, 100.0] {
        let x = x(value);
        writeln!(
            svg,
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>",
            TOP - 8.0
        )?;
        writeln!(
            svg,
            "<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{value} µs</text>",
            bottom + 12.0
        )?;
    }
    Ok(())
}

fn text(svg: &mut String, [x, y]: [f64; 2], class: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    svg.push_str(&format!(
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>\n"
    ));
}

/// Where a value stands.
fn x(value: f64) -> f64 {
    let [first, last] = SCALE.map(f64::ln);
    LEFT + (RIGHT - LEFT) * ((value.ln() - first) / (last - first)).clamp(0.0, 1.0)
}

fn number(value: f64) -> String {
    match value {
        v if v < 1.0 => format!("{v:.2}"),
        v if v < 10.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// µs for each message.
fn cpu(results: &str, mode: &str, who: &str) -> Option<f64> {
    results
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .find(|columns| columns[..2.min(columns.len())] == [mode, who])?
        .get(3)?
        .parse()
        .ok()
}
